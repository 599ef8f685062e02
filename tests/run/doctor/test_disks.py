"""Room for results and for temporary files."""

import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from phasetune.run.doctor.disks import disk_part

GIB = 1 << 30


@pytest.fixture(autouse=True)
def _roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    give_room(monkeypatch, free=50 * GIB)


def give_room(monkeypatch: pytest.MonkeyPatch, *, free: int) -> None:
    usage = SimpleNamespace(total=100 * GIB, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_both_are_told_and_nothing_is_made(tmp_path: Path) -> None:
    part = disk_part(tmp_path / "not" / "there")
    room = {
        "total_bytes": 100 * GIB,
        "free_bytes": 50 * GIB,
        "pruned_harder_below_bytes": 10 * GIB,
    }
    assert part.facts == {
        "results": {"path": str(tmp_path / "not" / "there"), **room},
        "temporary": {"path": tempfile.gettempdir(), **room},
    }
    assert (part.problems, part.warnings) == ((), ())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("free", "problems", "warnings", "sentence"),
    [
        (10 * GIB, 0, 0, ""),
        (10 * GIB - 1, 0, 2, "less than 10%, so that checkpoints are pruned harder"),
        (1 << 20, 2, 0, "1.0 MiB of 100 GiB are free, less than the 256 MiB that runs need"),
    ],
    ids=["enough", "little", "full"],
)
def test_too_little_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    problems: int,
    warnings: int,
    sentence: str,
) -> None:
    give_room(monkeypatch, free=free)
    part = disk_part(tmp_path)
    assert (len(part.problems), len(part.warnings)) == (problems, warnings)
    said = (*part.problems, *part.warnings)
    assert all(sentence in line for line in said)
    assert all(
        line.endswith(f"; remove something, or name another {way_out}")
        for line, way_out in zip(said, ("with --results", "by TMPDIR"), strict=False)
    )


@pytest.mark.parametrize("below", ["", "deeper"], ids=["a file", "below a file"])
def test_results_in_a_file_are_a_problem(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    part = disk_part(tmp_path / "taken" / below)
    (problem,) = part.problems
    assert str(tmp_path / "taken") in problem
    assert part.facts["temporary"]["free_bytes"] == 50 * GIB


def test_results_that_can_t_be_written_to_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: str(path) == tempfile.gettempdir())
    assert disk_part(tmp_path).problems == (
        (
            f"{tmp_path} (results) can't be written to; change its rights, or name another with "
            "--results"
        ),
    )


def test_a_disk_that_does_not_answer_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(path: Path) -> SimpleNamespace:
        if path == tmp_path:
            raise OSError(116, "Stale file handle")
        return SimpleNamespace(total=100 * GIB, free=50 * GIB)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    part = disk_part(tmp_path)
    assert part.problems == (
        f"{tmp_path} (results) can't be looked at (Stale file handle); name another with --results",
    )
    assert part.facts["results"] == {"path": str(tmp_path)}


def test_no_place_for_temporary_files_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert disk_part(tmp_path).problems == (
        "no folder for temporary files can be written to; name one by TMPDIR",
    )
