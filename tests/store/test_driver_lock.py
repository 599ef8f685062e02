"""One driver per study: a living one is named, a dead one is no obstacle, with locks or without."""

import errno
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from other_driver import driven_once, driver, drives, owner_in, since, stop
from phasetune import StoreError
from phasetune.store.driver_lock import driving
from phasetune.store.lock import exclusively
from phasetune.store.lock_file import LockFile
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths


@pytest.fixture
def paths(tmp_path: Path) -> ResultsPaths:
    """A results root in which nobody drives the study any more."""
    return driven_once(tmp_path)


@pytest.mark.parametrize("is_stopped", [False, True], ids=["runs", "stopped"])
def test_who_comes_second_is_told_whom_to_wait_for(paths: ResultsPaths, is_stopped: bool) -> None:
    with driver(paths) as process:
        if is_stopped:
            stop(process)
        with pytest.raises(StoreError) as refused:
            drives(paths)
        assert str(refused.value) == (
            f"another driver works on {paths.study('study').root}: pid {process.pid} on "
            f"{socket.gethostname()}, since {since(paths)}, `-c {paths.root} 0 'has none'`; wait "
            f"until it is done, or end it there with `kill {process.pid}`, which keeps what it "
            "computed, and run again"
        )
        with pytest.raises(StoreError, match=f"pid {process.pid} on"):
            drives(paths)


def test_a_killed_driver_is_followed_and_named_once(paths: ResultsPaths) -> None:
    with driver(paths) as process:
        killed = owner_in(paths)
        process.kill()
        process.wait()
        assert killed is not None
        assert killed.pid == process.pid
        assert drives(paths) == killed
    assert drives(paths) is None


def test_a_driver_that_ends_in_order_leaves_no_name_and_no_trace(paths: ResultsPaths) -> None:
    before = paths.study("study").driver_lock.stat()
    with driver(paths) as process:
        process.communicate("")
        assert process.returncode == 0
    after = paths.study("study").driver_lock.stat()
    assert (after.st_size, after.st_mtime_ns) == (0, before.st_mtime_ns)
    assert after.st_ino == before.st_ino, "the lock is on the file itself"
    assert drives(paths) is None


def test_an_error_is_an_end_in_order(paths: ResultsPaths) -> None:
    with pytest.raises(RuntimeError), driving(paths, "study"):
        raise RuntimeError
    assert drives(paths) is None


@pytest.mark.parametrize("child", ["starts a program", "forks"])
def test_a_child_that_outlives_a_killed_driver_keeps_no_lock(
    paths: ResultsPaths, child: str
) -> None:
    with driver(paths, child=child) as process:
        killed = owner_in(paths)
        assert killed is not None, "a child does not clear its parent's name"
        with pytest.raises(StoreError, match=f"pid {process.pid} on"):
            drives(paths)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert drives(paths) == killed


def test_studies_of_one_root_are_driven_at_once_and_nobody_deletes_there(
    paths: ResultsPaths,
) -> None:
    with driving(paths, "study"), driving(paths, "another") as another:
        another.hold()
        with pytest.raises(StoreError, match="a study runs below"), exclusively(paths):
            pass
    with exclusively(paths), pytest.raises(StoreError, match="`phasetune gc` works on"):
        drives(paths)


def test_a_study_that_computes_nothing_yet_makes_no_folder(tmp_path: Path) -> None:
    paths = ResultsPaths(tmp_path / "results")
    with driving(paths, "study") as first, driving(paths, "study") as second:
        assert not paths.root.exists()
        first.hold()
        with pytest.raises(StoreError, match=f"pid {os.getpid()} on"):
            second.hold()
    assert owner_in(paths) is None


@pytest.mark.parametrize("content", [b"", b'{"pid": 12, "ho', b"\0" * 50, b"hello\n"])
def test_what_a_lock_says_counts_for_nothing_where_the_system_has_locks(
    paths: ResultsPaths, content: bytes
) -> None:
    paths.study("study").driver_lock.write_bytes(content)
    assert drives(paths) is None


def test_who_has_only_come_is_not_taken_for_the_dead_one_before(paths: ResultsPaths) -> None:
    path = paths.study("study").driver_lock
    path.write_bytes(replace(Owner.of_this_process(), started_ticks=1).content)
    comes = LockFile(path, writes=True)
    comes.lock(shared=False)
    with pytest.raises(StoreError, match=f"has not said who it is; .* `fuser {path}`"):
        drives(paths)
    comes.close()
    assert drives(paths) is not None


def test_on_a_full_disk_the_system_s_lock_is_enough(
    paths: ResultsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with (
        driving(paths, "study"),
        pytest.raises(StoreError, match="has not said who it is"),
        driving(paths, "study"),
    ):
        pass


@pytest.mark.parametrize("place", ["folder", "link", "pipe"])
def test_what_is_no_file_of_ours_is_refused_and_left_alone(
    paths: ResultsPaths, tmp_path: Path, place: str
) -> None:
    path, target = paths.study("study").driver_lock, tmp_path / "precious"
    path.unlink()
    target.write_text("precious")
    makes = {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}
    makes.get(place, lambda: path.symlink_to(target))()
    message = f"{path} can't be locked: .*; make the file yours, or delete it when no driver runs"
    with pytest.raises(StoreError, match=message):
        drives(paths)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_lock_that_cant_be_opened_refuses_whoever_could_write_beside_it(
    paths: ResultsPaths, monkeypatch: pytest.MonkeyPatch, is_writable: bool
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda *_: is_writable)
    if not is_writable:
        with driving(paths, "study") as lock:
            lock.hold()
        return
    with pytest.raises(StoreError, match="can't be locked: Permission denied; so whether another"):
        drives(paths)
