"""What a study leaves is for its owner alone, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from stored import cut_off, finished

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_every_missing_folder_is_made_for_its_owner_alone(mask: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with umask(mask):
        make_folder(tmp_path / "a" / "b" / "c")
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [mode(folder) for folder in made] == [0o700] * 3
    assert mode(tmp_path) == 0o755


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2775)
    make_folder(shared)
    make_folder(shared / "own")
    assert (mode(shared), mode(shared / "own") & 0o777) == (0o2775, 0o700)


def test_a_folder_may_be_relative_or_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(Path("real"))
    Path("link").symlink_to("real")
    make_folder(Path("link/below"))
    make_folder(Path("real/../beside"))
    assert (tmp_path / "real" / "below").is_dir()
    assert (tmp_path / "beside").is_dir()


def test_one_that_somebody_else_makes_at_the_same_moment_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir_twice(path: Path, mode: int = 0o777) -> None:
        real(path)
        real(path, mode)

    monkeypatch.setattr(Path, "mkdir", mkdir_twice)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("name", ["file", "file/below", "nowhere", "nowhere/below"])
def test_what_is_in_the_way_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(StoreError, match=rf"the folder .*{name} can't be made: \w+"):
        make_folder(tmp_path / name)


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "interrupted"])
def test_no_folder_of_a_study_is_open_to_others(
    is_finished: bool, tmp_path: Path, scripted_study: StudyMaker
) -> None:
    results = tmp_path / "results"
    with umask(0):
        study = scripted_study(max_failures=0)
        if is_finished:
            finished(study, results)
        else:
            cut_off(study, results, after=5)
    folders = [results, *(path for path in results.rglob("*") if path.is_dir())]
    assert len(folders) > 10
    assert [path for path in folders if mode(path) & OTHERS] == []
