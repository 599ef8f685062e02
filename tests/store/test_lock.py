"""A lock that is held by whoever lives, and by nobody else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.store.lock import exclusively, in_use
from phasetune.store.paths import ResultsPaths

HOLDER = """
import signal, sys
from pathlib import Path
from phasetune.store.lock import exclusively, in_use
from phasetune.store.paths import ResultsPaths
paths = ResultsPaths(Path(sys.argv[2]))
with {"in_use": in_use, "exclusively": exclusively}[sys.argv[1]](paths):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def paths(tmp_path: Path) -> ResultsPaths:
    """A results root in which a study ran once."""
    found = ResultsPaths(tmp_path)
    with in_use(found) as use:
        use.hold()
    return found


def holder(kind: str, paths: ResultsPaths) -> "subprocess.Popen[str]":
    """A process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(paths.root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def enter(kind: str, paths: ResultsPaths) -> None:
    with in_use(paths) if kind == "in_use" else exclusively(paths):
        pass


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("in_use", "exclusively", "a study runs below .* at this moment; try again when it is"),
        ("exclusively", "in_use", "`phasetune gc` works on .* at this moment; run again when it"),
        ("exclusively", "exclusively", "a study runs below .* at this moment"),
    ],
)
def test_who_comes_second_is_told_and_a_killed_holder_holds_nothing(
    paths: ResultsPaths, first: str, second: str, message: str
) -> None:
    process = holder(first, paths)
    try:
        with pytest.raises(StoreError, match=message):
            enter(second, paths)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    enter(second, paths)


def test_studies_share_a_results_root(paths: ResultsPaths) -> None:
    with in_use(paths):
        with in_use(paths):
            pass
        with pytest.raises(StoreError, match="a study runs below"):
            enter("exclusively", paths)
    enter("exclusively", paths)


def test_a_study_that_computes_nothing_yet_makes_no_folder(tmp_path: Path) -> None:
    paths = ResultsPaths(tmp_path / "results")
    with in_use(paths) as use:
        assert not paths.root.exists()
        use.hold()
        with pytest.raises(StoreError, match="a study runs below"):
            enter("exclusively", paths)


def test_what_is_no_results_root_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreError, match="holds no study; name a results root"):
        enter("exclusively", ResultsPaths(tmp_path))
    assert list((tmp_path / "store").iterdir()) == []


def test_a_root_that_cant_be_written_is_no_obstacle_to_a_study_that_writes_nothing(
    paths: ResultsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    enter("in_use", paths)
    with pytest.raises(StoreError, match=r"in-use.lock can't be locked: Permission denied"):
        enter("exclusively", paths)
