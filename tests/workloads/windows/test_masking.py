"""Which time steps are hidden: how many, where, and others for each window."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from phasetune.workloads.windows.masking import drawn_mask
from phasetune.workloads.windows.params import Pretrain

CPU = torch.device("cpu")


def drawn(count: int, time: int, **params: Any) -> Tensor:
    return drawn_mask(Pretrain(**params), count, time, CPU)


def num_stretches(mask: Tensor) -> list[int]:
    """How many stretches of hidden steps each window has."""
    begins = mask[:, 1:] & ~mask[:, :-1]
    return (begins.sum(dim=1) + mask[:, 0]).tolist()


def rows(mask: Tensor) -> set[tuple[bool, ...]]:
    return {tuple(row) for row in mask.tolist()}


@pytest.mark.parametrize(
    ("mask", "ratio", "time", "hidden"),
    [
        ("random", 0.15, 105, 16),
        ("random", 0.25, 8, 2),
        ("random", 0.01, 8, 1),
        ("block", 0.15, 105, 16),
        ("block", 0.5, 8, 4),
        ("block", 0.01, 8, 1),
        ("patch", 0.15, 105, 14),
        ("patch", 0.01, 105, 7),
        ("patch", 0.5, 28, 14),
    ],
)
def test_each_window_has_as_many_hidden_steps_as_the_ratio_says(
    mask: str, ratio: float, time: int, hidden: int
) -> None:
    found = drawn(50, time, mask=mask, mask_ratio=ratio)
    assert found.shape == (50, time)
    assert found.dtype == torch.bool
    assert found.sum(dim=1).tolist() == [hidden] * 50


def test_a_block_is_one_stretch_that_begins_anywhere() -> None:
    found = drawn(500, 10, mask="block", mask_ratio=0.4)
    assert num_stretches(found) == [1] * 500
    begins = found.int().argmax(dim=1)
    assert set(begins.tolist()) == set(range(7))


def test_random_steps_are_spread_over_all_of_a_window() -> None:
    found = drawn(2000, 20, mask="random", mask_ratio=0.25)
    share = found.float().mean(dim=0)
    assert share.min() > 0.20
    assert share.max() < 0.30
    assert max(num_stretches(found)) >= 4


@pytest.mark.parametrize(("time", "size"), [(105, 7), (8, 2), (20, 5)])
def test_a_patch_is_hidden_whole_or_not_at_all(time: int, size: int) -> None:
    found = drawn(200, time, mask="patch", mask_ratio=0.3, patch_size=size)
    patches = found.reshape(200, time // size, size)
    assert torch.equal(patches.any(dim=2), patches.all(dim=2))
    assert patches.any(dim=2).any(dim=0).all()


def test_the_last_patch_may_be_shorter() -> None:
    found = drawn(200, 10, mask="patch", mask_ratio=0.5, patch_size=4)
    assert found.shape == (200, 10)
    assert rows(found[:, :4]) == rows(found[:, 4:8]) == {(True,) * 4, (False,) * 4}
    assert rows(found[:, 8:]) == {(True,) * 2, (False,) * 2}
    assert set(found.sum(dim=1).tolist()) == {6, 8}


@pytest.mark.parametrize("mask", ["random", "block", "patch"])
def test_windows_of_a_batch_are_hidden_differently_and_draws_too(mask: str) -> None:
    first = drawn(100, 60, mask=mask, mask_ratio=0.2, patch_size=3)
    assert len(rows(first)) > 30
    assert not torch.equal(first, drawn(100, 60, mask=mask, mask_ratio=0.2, patch_size=3))


@pytest.mark.parametrize("mask", ["random", "block", "patch"])
def test_a_draw_is_that_of_torch_s_seed(mask: str) -> None:
    torch.manual_seed(5)
    first = drawn(20, 30, mask=mask)
    torch.manual_seed(5)
    assert torch.equal(drawn(20, 30, mask=mask), first)


@settings(max_examples=100, deadline=None)
@given(
    mask=st.sampled_from(["random", "block", "patch"]),
    time=st.integers(1, 40),
    ratio=st.floats(0.001, 0.999),
    size=st.integers(1, 50),
)
def test_whatever_is_asked_something_is_hidden_and_the_shape_holds(
    mask: str, time: int, ratio: float, size: int
) -> None:
    found = drawn(4, time, mask=mask, mask_ratio=ratio, patch_size=size)
    assert found.shape == (4, time)
    assert found.any(dim=1).all()
    if mask != "patch":
        assert found.sum(dim=1).tolist() == [max(1, round(time * ratio))] * 4
