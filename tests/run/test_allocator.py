"""A worker's heap keeps what it frees; what the user set himself is left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasetune.run.allocator import keep_heap
from phasetune.run.ray import trainable
from phasetune.store.paths import StudyPaths

# Takes a block, frees it, and takes it again: is it in the heap, and did the heap keep it?
BLOCK = """
import ctypes, json
from phasetune.run.allocator import keep_heap

SIZE = 96 << 20
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def heap():
    lines = open("/proc/self/maps").read().splitlines()
    span = next(line for line in lines if line.endswith("[heap]")).split()[0]
    return [int(end, 16) for end in span.split("-")]

said = [keep_heap(), keep_heap()] if KEEP else []
block = libc.malloc(SIZE)
begin, end = heap()
is_in_heap = begin <= block < end
libc.free(block)
begin, end = heap()
print(json.dumps({"said": said, "is_in_heap": is_in_heap, "is_kept": end - begin > SIZE}))
"""
ALL = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


def has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):
        return False


def found(*, keep: bool, **variables: str) -> dict[str, Any]:
    """What became of a block in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.replace("KEEP", str(keep))],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.skipif(not has_glibc(), reason="the allocator is not glibc's")
@pytest.mark.parametrize(
    ("keep", "variables", "expected"),
    [
        (False, {}, {"said": [], "is_in_heap": False, "is_kept": False}),
        (True, {}, {"said": [True, True], "is_in_heap": True, "is_kept": True}),
        (
            True,
            {"MALLOC_MMAP_MAX_": "65536"},
            {"said": [True, True], "is_in_heap": False, "is_kept": False},
        ),
        (
            True,
            {"GLIBC_TUNABLES": "glibc.malloc.check=0:glibc.malloc.mmap_max=65536"},
            {"said": [True, True], "is_in_heap": False, "is_kept": False},
        ),
        (
            True,
            {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_TOP_PAD_": "0"},
            {"said": [True, True], "is_in_heap": True, "is_kept": False},
        ),
        (
            True,
            dict.fromkeys(ALL, "1"),
            {"said": [False, False], "is_in_heap": True, "is_kept": False},
        ),
    ],
    ids=["glibc's own", "kept", "one variable", "one tunable", "two variables", "all variables"],
)
def test_a_freed_block_stays_in_the_heap(
    keep: bool, variables: dict[str, str], expected: dict[str, Any]
) -> None:
    assert found(keep=keep, **variables) == expected


@pytest.mark.parametrize(
    "answer", [None, "musl 1.2", ValueError(), OSError()], ids=["none", "musl", "value", "os"]
)
def test_without_glibc_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, answer: str | Exception | None
) -> None:
    def confstr(name: str) -> str | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "confstr", confstr)
    assert keep_heap.__wrapped__() is False


@pytest.mark.parametrize(("gpus", "calls"), [(0, 1), (1, 0)], ids=["no GPU", "a GPU"])
def test_a_worker_keeps_its_heap_only_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, calls: int
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(trainable, "keep_heap", lambda: kept.append(True))
    monkeypatch.setattr(trainable, "_granted_gpus", lambda: gpus)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.chdir(tmp_path)
    workload = SimpleNamespace(working_directory=str(tmp_path))
    request: Any = SimpleNamespace(
        workload=workload, attempt=tmp_path / "attempt", study_paths=StudyPaths(tmp_path)
    )
    monkeypatch.setattr(trainable, "count_as_worker", lambda _: None)
    trainable.enter(request)
    assert len(kept) == calls
