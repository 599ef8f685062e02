"""A run takes no more of a GPU's memory than its part; torch is played, but in the last test."""

import shutil
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from phasetune.errors import StageError
from phasetune.run.gpu_memory import (
    CONTEXT_BYTES,
    limited_gpu_memory,
    taken_of_gpu,
    torch_part,
)
from phasetune.store.space import GIB


class FullError(Exception):
    """What torch raises where there is no memory left."""


class FakeCuda:
    """Stands for `torch.cuda`: a GPU of 20 GiB, and the parts that it was limited to."""

    OutOfMemoryError = FullError

    def __init__(self, *, is_available: bool = True) -> None:
        self.limits: list[float] = []
        self._is_available = is_available

    def is_available(self) -> bool:
        return self._is_available

    def get_device_properties(self, _: int) -> Any:
        return SimpleNamespace(total_memory=20 * GIB)

    def set_per_process_memory_fraction(self, part: float) -> None:
        self.limits.append(part)

    def max_memory_reserved(self) -> int:
        return 3 * GIB


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=fake))
    return fake


@pytest.mark.parametrize(
    ("part", "total_gib", "for_tensors"),
    [(0.25, 20, 0.25 - 0.625 / 20), (0.05, 10, 0.0), (0.5, 2, 0.1875)],
    ids=["less what a process holds", "nothing is left", "a small GPU"],
)
def test_tensors_have_the_part_less_what_a_process_holds_besides(
    part: float, total_gib: int, for_tensors: float
) -> None:
    assert CONTEXT_BYTES == 0.625 * GIB
    assert torch_part(part, total_bytes=total_gib * GIB) == pytest.approx(for_tensors)


def test_a_part_limits_torch_before_the_run_and_no_longer_than_it(cuda: FakeCuda) -> None:
    with limited_gpu_memory(0.25, device="cuda"):
        assert cuda.limits == [torch_part(0.25, total_bytes=20 * GIB)]
    assert cuda.limits[1:] == [1.0]


@pytest.mark.parametrize(("part", "device"), [(1.0, "cuda"), (0.25, "cpu")])
def test_a_whole_gpu_and_a_cpu_are_not_limited(cuda: FakeCuda, part: float, device: str) -> None:
    with limited_gpu_memory(part, device=device):
        assert cuda.limits == []
    assert cuda.limits == []


def test_without_torch_nothing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with limited_gpu_memory(0.25, device="cuda"):
        assert "torch" not in sys.modules
    assert taken_of_gpu() == (0, 0)


def test_what_goes_beyond_its_part_is_told_that_and_the_way_out(cuda: FakeCuda) -> None:
    with pytest.raises(StageError) as caught, limited_gpu_memory(0.25, device="cuda"):
        raise FullError("CUDA out of memory. Tried to allocate 20.00 MiB")
    assert str(caught.value) == (
        "out of GPU memory: it was granted 0.25 of a GPU, 4.4 GiB for its tensors; raise "
        "resources_per_trial.gpu, or let it take less, as by smaller batches"
    )
    assert isinstance(caught.value.__cause__, FullError)
    assert cuda.limits[-1] == 1.0


def test_another_error_stays_what_it_is(cuda: FakeCuda) -> None:
    with pytest.raises(ValueError, match="odd"), limited_gpu_memory(0.25, device="cuda"):
        raise ValueError("odd")
    assert cuda.limits[-1] == 1.0


def test_the_meter_tells_what_torch_took_at_most(cuda: FakeCuda) -> None:
    assert taken_of_gpu() == (3 * GIB, 20 * GIB)


def test_where_torch_has_no_gpu_the_meter_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(is_available=False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert taken_of_gpu() == (0, 0)


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no GPU here")
def test_a_real_gpu_refuses_what_exceeds_the_part_and_gives_it_after() -> None:
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    part, mib = 0.25, 1 << 20
    allowed = int(torch_part(part, total_bytes=total) * total)
    with limited_gpu_memory(part, device="cuda"):
        torch.empty(allowed - 64 * mib, dtype=torch.uint8, device="cuda")
    torch.cuda.empty_cache()
    with (
        pytest.raises(StageError, match=r"granted 0\.25 of a GPU"),
        limited_gpu_memory(part, device="cuda"),
    ):
        torch.empty(allowed + 64 * mib, dtype=torch.uint8, device="cuda")
    torch.empty(allowed + 64 * mib, dtype=torch.uint8, device="cuda")
    torch.cuda.empty_cache()
