"""What a machine is made of, as its system and its driver describe it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasetune.run import machine
from phasetune.run.cgroups import CgroupLimits
from phasetune.run.devices import Gpu, Memory, gpus, memory, processor

GIB = 1 << 30
FREE = CgroupLimits(cpus=None, memory_bytes=None, free_memory_bytes=None)
CPUINFO = "model name\t: First\nflags\t\t: sse avx {flag}\n\nmodel name\t: Other\n"
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"


@pytest.mark.parametrize(
    ("quota", "affinity", "usable"),
    [(None, 3, 3), (1.5, 3, 1.5), (16.0, 3, 3)],
    ids=["affinity", "a part of a core", "a wide limit"],
)
def test_usable_cores_are_those_that_both_affinity_and_group_leave(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: float | None,
    affinity: int,
    usable: float,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    limits = CgroupLimits(cpus=quota, memory_bytes=None, free_memory_bytes=None)
    found = processor(limits, described=tmp_path / "none")
    assert (found.usable_cores, found.cores) == (usable, 8)
    assert found.model


@pytest.mark.parametrize(("flag", "has_bf16"), [("amx_bf16", True), ("avx512f", False)])
def test_a_processor_is_described_by_its_first_core(
    tmp_path: Path, flag: str, has_bf16: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(flag=flag))
    found = processor(FREE, described=path)
    assert (found.model, found.has_bf16) == ("First", has_bf16)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (FREE, Memory(total_bytes=16 * GIB, free_bytes=8 * GIB)),
        (
            CgroupLimits(cpus=None, memory_bytes=4 * GIB, free_memory_bytes=GIB),
            Memory(total_bytes=4 * GIB, free_bytes=GIB),
        ),
        (
            CgroupLimits(cpus=None, memory_bytes=1 << 62, free_memory_bytes=1 << 61),
            Memory(total_bytes=16 * GIB, free_bytes=8 * GIB),
        ),
    ],
    ids=["of the machine", "of the group", "a limit that is none"],
)
def test_memory_respects_the_group(tmp_path: Path, limits: CgroupLimits, expected: Memory) -> None:
    path = tmp_path / "meminfo"
    path.write_text(MEMINFO)
    assert memory(limits, described=path) == expected


def test_elsewhere_memory_has_a_size(tmp_path: Path) -> None:
    found = memory(FREE, described=tmp_path / "none")
    assert found.total_bytes > 1 << 26
    assert found.free_bytes is None


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for programs that stands first in the search path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine.compute_capabilities.cache_clear()
    yield tmp_path
    machine.compute_capabilities.cache_clear()


def write_driver(folder: Path, output: str, code: int = 0) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {code}\n")
    path.chmod(0o755)


LARGE = "NVIDIA H100 80GB HBM3, 81559, 81000, 9.0"
SMALL = "Tesla T4, 15360, 15000, 7.5"
PART = "NVIDIA A100, MIG 1g.5gb, [N/A], [Insufficient Permissions], [N/A]"


def test_each_gpu_is_described(driver: Path) -> None:
    write_driver(driver, f"{LARGE}\n{SMALL}\n{PART}\n")
    large, small, part = gpus()
    assert large == Gpu(
        name="NVIDIA H100 80GB HBM3",
        total_bytes=81559 << 20,
        free_bytes=81000 << 20,
        compute_capability=9.0,
    )
    assert (large.is_ampere_or_later, small.is_ampere_or_later) == (True, False)
    assert part == Gpu(
        name="NVIDIA A100, MIG 1g.5gb", total_bytes=None, free_bytes=None, compute_capability=None
    )
    assert not part.is_ampere_or_later


@pytest.mark.parametrize(
    ("output", "code", "error"),
    [
        ("No devices were found", 6, subprocess.CalledProcessError),
        ("something else", 0, ValueError),
    ],
)
def test_a_driver_that_does_not_answer_is_an_error(
    driver: Path, output: str, code: int, error: type[Exception]
) -> None:
    write_driver(driver, output, code)
    with pytest.raises(error):
        gpus()
    assert machine.compute_capabilities() == ()


@pytest.mark.parametrize(
    ("build", "hidden", "expected"),
    [
        ("2.13.0+cu128", None, (9.0, 7.5)),
        ("2.13.0+cu128", "-1", ()),
        ("2.13.0+cu128", "", ()),
        ("2.13.0+cpu", None, ()),
    ],
    ids=["both", "hidden by -1", "hidden by nothing", "torch for CPUs"],
)
def test_a_run_uses_the_gpus_that_torch_can_use(
    driver: Path,
    monkeypatch: pytest.MonkeyPatch,
    build: str,
    hidden: str | None,
    expected: tuple[float, ...],
) -> None:
    write_driver(driver, f"{LARGE}\n{PART}\n{SMALL}")
    monkeypatch.setattr(machine, "version", lambda _: build)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert machine.compute_capabilities() == expected
