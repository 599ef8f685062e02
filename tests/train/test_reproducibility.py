"""Seeds and switches for those who train by themselves: equal draws, and a true description."""

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from phasetune.errors import StageError
from phasetune.train.determinism import WORKSPACE, allow_fused_attention
from phasetune.train.reproducibility import describe_reproducibility, set_seed

BACKENDS: Any = torch.backends
MEMORY: Any = torch.utils.deterministic


@pytest.fixture(autouse=True)
def _switches_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`set_seed` changes the process for good, which no other test shall see."""
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)
    fill = MEMORY.fill_uninitialized_memory
    held = [BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.cuda.matmul]
    precisions = [backend.fp32_precision for backend in held]
    cudnn = BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    MEMORY.fill_uninitialized_memory = fill
    BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark = cudnn
    for backend, precision in zip(held, precisions, strict=True):
        backend.fp32_precision = precision
    allow_fused_attention(True)


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: S311


@pytest.mark.parametrize("deterministic", [True, False])
def test_equal_seeds_draw_equally_from_all_three_generators(deterministic: bool) -> None:
    set_seed(5, deterministic=deterministic)
    first = drawn()
    set_seed(6, deterministic=deterministic)
    assert not set(first) & set(drawn())
    set_seed(5, deterministic=deterministic)
    assert drawn() == first


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_smallest_and_the_largest_seed_are_seeds(seed: int) -> None:
    set_seed(seed)
    assert torch.initial_seed() == seed


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "1", None])
def test_what_is_no_seed_is_refused_and_changes_nothing(seed: Any) -> None:
    set_seed(5, deterministic=False)
    expected = drawn()
    set_seed(5, deterministic=False)
    with pytest.raises(StageError, match=r"seed must be a whole number from 0 to 4294967295, but"):
        set_seed(seed)
    assert drawn() == expected
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_sets_every_switch_and_without_it_torch_may_choose() -> None:
    set_seed(5)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert bool(torch.empty(100).isnan().all())
    assert BACKENDS.cudnn.deterministic
    assert os.environ[WORKSPACE] == ":4096:8"
    set_seed(5, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not BACKENDS.cudnn.deterministic


@pytest.mark.parametrize("has_gpu", [True, False])
def test_fused_attention_is_left_out_where_there_is_a_gpu(
    has_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    kernels = BACKENDS.cuda
    set_seed(5)
    found = kernels.flash_sdp_enabled(), kernels.mem_efficient_sdp_enabled()
    assert found == (not has_gpu, not has_gpu)
    assert kernels.math_sdp_enabled()
    set_seed(5, deterministic=False)
    assert kernels.flash_sdp_enabled()
    assert kernels.mem_efficient_sdp_enabled()


@pytest.mark.parametrize(
    ("deterministic", "lines"),
    [
        (
            True,
            ["deterministic algorithms: on", "cuDNN deterministic: on", f"{WORKSPACE}: :4096:8"],
        ),
        (
            False,
            ["deterministic algorithms: off", "cuDNN deterministic: off", f"{WORKSPACE}: unset"],
        ),
    ],
    ids=["on", "off"],
)
def test_the_description_tells_how_the_switches_stand(
    deterministic: bool, lines: list[str]
) -> None:
    set_seed(5, deterministic=deterministic)
    told = [line.strip() for line in describe_reproducibility().splitlines()]
    assert set(lines) <= set(told)
    assert f"torch threads: {torch.get_num_threads()}" in told
    assert "TF32 in recurrent layers: off" in told


def test_the_description_tells_of_a_switch_that_the_user_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BACKENDS.cudnn, "benchmark", True)
    monkeypatch.setenv("PYTHONHASHSEED", "17")
    BACKENDS.cuda.matmul.fp32_precision = "tf32"
    told = describe_reproducibility()
    assert "cuDNN benchmark: on" in told
    assert "PYTHONHASHSEED: 17" in told
    assert "TF32 in matrix products: on" in told


def test_the_description_names_the_limits() -> None:
    told = describe_reproducibility()
    for limit in ("same kind of device", "no deterministic way", "time limits", "workers"):
        assert limit in told
