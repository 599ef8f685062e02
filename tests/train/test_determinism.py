"""Determinism: on where it is asked for, and as it was before afterwards."""

import os
import tempfile
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from phasetune.train.determinism import torch_switches
from stage_context import Context

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FUSED, MATH_ALONE = (True, True, True), (False, False, True)


def switched(deterministic: bool, *, device: str, **numerics: Any) -> AbstractContextManager[None]:
    output = Path(tempfile.mkdtemp()) / "out"
    ctx = Context(output=output, deterministic=deterministic, device=device, **numerics)
    return torch_switches(ctx)


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)


def switches() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )


def backends() -> Any:
    """Torch's, some of whose switches have no types."""
    return torch.backends


def attention() -> tuple[bool, bool, bool]:
    """Which ways of scaled-dot-product attention are allowed: flash, memory-efficient, plain."""
    cuda = torch.backends.cuda
    return (
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
    )


def put_twice() -> None:
    """An operation whose result depends on which of two writes comes last."""
    torch.zeros(2).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def test_where_it_is_asked_for_nothing_depends_on_what_memory_held_before() -> None:
    with switched(True, device="cpu"):
        assert bool(torch.empty(1000).isnan().all())
        assert not torch.backends.cudnn.benchmark


def test_an_operation_without_a_deterministic_way_warns_and_goes_on() -> None:
    with (
        switched(True, device="cpu"),
        pytest.warns(UserWarning, match="put_ does not have a deterministic implementation"),
    ):
        put_twice()


def test_an_operation_without_a_deterministic_way_fails_where_warning_is_not_enough() -> None:
    with (
        switched(True, device="cpu", warn_only=False),
        pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"),
    ):
        put_twice()


@pytest.mark.parametrize("benchmark", [True, False])
@pytest.mark.parametrize("tf32", [True, False])
def test_what_may_be_faster_is_a_setting_of_its_own(benchmark: bool, tf32: bool) -> None:
    before = backends().cudnn.rnn.fp32_precision
    with switched(True, device="cpu", cudnn_benchmark=benchmark, tf32=tf32):
        assert torch.backends.cudnn.deterministic
        assert torch.backends.cudnn.benchmark == benchmark
        found = {backends().cudnn.rnn.fp32_precision, backends().cuda.matmul.fp32_precision}
        assert found == {"tf32" if tf32 else "ieee"}
    assert backends().cudnn.rnn.fp32_precision == before


def test_where_it_is_not_asked_for_torch_may_choose_what_is_fastest() -> None:
    with warnings.catch_warnings(), switched(False, device="cpu"):
        warnings.simplefilter("error")
        put_twice()
        assert not torch.backends.cudnn.deterministic
    assert WORKSPACE not in os.environ


@pytest.mark.parametrize("is_asked", [True, False])
@pytest.mark.parametrize("before", [(False, False, False), (True, True, True), (True, False, True)])
def test_afterwards_the_switches_are_as_they_were(
    is_asked: bool, before: tuple[bool, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = switches()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", before[2])
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    try:
        with switched(is_asked, device="cpu"):
            assert switches()[0] == is_asked
        assert switches() == before
        with pytest.raises(KeyError), switched(is_asked, device="cpu"):
            raise KeyError
        assert switches() == before
    finally:
        torch.use_deterministic_algorithms(original[0], warn_only=original[1])


def test_attention_on_a_gpu_leaves_out_fused_kernels_within_the_block() -> None:
    assert attention() == FUSED
    with switched(True, device="cuda"):
        assert attention() == MATH_ALONE
        with switched(False, device="cuda"):
            assert attention() == MATH_ALONE
    assert attention() == FUSED
    with pytest.raises(KeyError), switched(True, device="cuda"):
        raise KeyError
    assert attention() == FUSED


@pytest.mark.parametrize(("is_asked", "device"), [(True, "cpu"), (False, "cpu"), (False, "cuda")])
def test_elsewhere_attention_is_as_it_was(is_asked: bool, device: str) -> None:
    with switched(is_asked, device=device):
        assert attention() == FUSED


def test_blocks_nest() -> None:
    with switched(True, device="cpu"):
        with switched(False, device="cpu"):
            assert not torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_cublas_gets_a_fixed_workspace_unless_the_user_chose_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with switched(True, device="cpu"):
        assert os.environ[WORKSPACE] == ":4096:8"
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with switched(True, device="cpu"):
        assert os.environ[WORKSPACE] == ":16:8"
