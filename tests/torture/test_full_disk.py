"""A disk that really is full: a small tmpfs, of many sizes, below the results."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import Study
from torture.crashing import is_told, left_by, ran, refuse_torn, steps

LARGEST_KIB = 16 * 1024


@pytest.fixture(scope="module")
def study(scripted_study: StudyMaker) -> Study:
    return scripted_study(params={"train": {"written_mb": 0.05}})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted tmpfs."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not _mount(folder, "size=1m"):
        pytest.skip("no tmpfs can be mounted here; test_crash_points injects what a full disk does")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - found on the path


def _mount(folder: Path, options: str) -> bool:
    arguments = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(arguments, check=False, capture_output=True).returncode == 0


def suffers(study: Study, disk: Path, undisturbed: dict[str, bytes], *, kib: int) -> bool:
    """Whether the disk was too small; then all is whole, and with more room it goes on."""
    _mount(disk, f"remount,size={kib}k")
    results = disk / "results"
    beside = disk.parent / f"{kib}"
    code = ran(study, results, beside=beside)
    assert is_told(code, beside), (kib, beside.with_suffix(".error").read_text())
    published = refuse_torn(results) if results.exists() else set()
    taken = len(steps(beside))
    _mount(disk, f"remount,size={LARGEST_KIB}k")
    assert ran(study, results, beside=beside) == 0, kib
    assert left_by(study, results) == undisturbed, kib
    assert not published & set(steps(beside)[taken:]), kib
    shutil.rmtree(results)
    return code != 0


@pytest.fixture
def undisturbed(study: Study, disk: Path) -> tuple[dict[str, bytes], int]:
    """What is left on a disk with room, and how much that takes, in KiB."""
    _mount(disk, f"remount,size={LARGEST_KIB}k")
    assert ran(study, disk / "results", beside=disk.parent / "undisturbed") == 0
    space = os.statvfs(disk)
    used = (space.f_blocks - space.f_bfree) * space.f_frsize // 1024
    left = left_by(study, disk / "results")
    shutil.rmtree(disk / "results")
    return left, used


@pytest.mark.parametrize(
    "num_sizes", [4, pytest.param(60, marks=pytest.mark.torture)], ids=["some", "many"]
)
def test_a_disk_that_is_too_small_is_told_and_nothing_is_torn(
    study: Study, disk: Path, undisturbed: tuple[dict[str, bytes], int], num_sizes: int
) -> None:
    left, used = undisturbed
    sizes = range(16, used, max(1, used // num_sizes))
    was_too_small = [suffers(study, disk, left, kib=kib) for kib in sizes]
    assert sum(was_too_small) >= len(was_too_small) - 1
