"""One driver per study where no lock of the operating system decides: on file systems without
locks, on network file systems and at URIs, where a lease does.
"""

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from other_driver import driven_once, driver, drives, owner_in, stop
from phasetune import StoreError
from phasetune.store import lease
from phasetune.store.driver_lock import driving
from phasetune.store.lease import Waiting
from phasetune.store.lease_places import FolderPlace, ObjectPlace
from phasetune.store.lock_file import LockFile
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, results_at
from phasetune.store.remote.mirror import open_mirror
from shared_storage import DRIVES, ask, end, hurry, known_results, mount, process
from shared_storage import mounted_results as mounted_results
from shared_storage import shared_results as shared_results

ELSEWHERE = "a boot of another machine"


@pytest.fixture
def paths(tmp_path: Path) -> ResultsPaths:
    """A results root in which nobody drives the study any more."""
    return driven_once(tmp_path)


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file system without locks, as this process sees it."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return int(request.param)


def test_a_living_driver_is_named_and_a_killed_one_followed(
    paths: ResultsPaths, no_locks: int
) -> None:
    with driver(paths, without_locks=no_locks) as process:
        owner = owner_in(paths)
        with pytest.raises(StoreError, match=f"works on .*: pid {process.pid} on .*; wait"):
            drives(paths)
        stop(process)
        with pytest.raises(StoreError, match=f"works on .*: pid {process.pid} on .*; wait"):
            drives(paths)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert drives(paths) == owner
    assert drives(paths) is None


def test_who_can_t_say_who_it_is_does_not_drive(
    paths: ResultsPaths, no_locks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match="can't be locked: No space left on device"):
        drives(paths)


def test_a_driver_of_this_machine_is_named_at_once(mounted_results: str) -> None:
    with process(DRIVES, mounted_results) as first:
        paths = results_at(mounted_results)
        with pytest.raises(StoreError) as refused:
            drives(paths)
        message = str(refused.value)
        assert message.startswith(
            f"another driver works on {mounted_results}/study: pid {first.pid}"
        )
        assert f"end it there with `kill {first.pid}`, which keeps what it computed" in message
        first.kill()
        first.wait()
        followed = drives(paths)
        assert followed is not None
        assert followed.pid == first.pid
    assert drives(paths) is None


def test_a_driver_of_another_machine_that_renews_is_left_alone(mounted_results: str) -> None:
    with process(DRIVES, mounted_results, boot=ELSEWHERE) as first:
        paths, told = known_results(mounted_results), list[str]()
        with (
            pytest.raises(StoreError, match=f"works on .*: pid {first.pid} on .*; wait until it"),
            driving(paths, "study", Waiting(tell=told.append)),
        ):
            pass
        assert len(told) == 1
        assert f"can't be seen whether pid {first.pid} on" in told[0]
        assert told[0].endswith("lives: watching for 30 s whether its lease is renewed")
        assert ask(first) == "held"
        end(first)
        assert drives(paths) is None


def test_a_driver_of_another_machine_that_was_paused_is_followed_and_finds_out(
    mounted_results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process(DRIVES, mounted_results, boot=ELSEWHERE) as first:
        paths = known_results(mounted_results)
        stop(first)
        monkeypatch.setattr(lease, "WATCH_SECONDS", 0.2)
        with driving(paths, "study") as lock:
            lock.hold()
            assert lock.left_by is not None
            assert lock.left_by.pid == first.pid
            first.send_signal(signal.SIGCONT)
            said = ask(first)
            assert said.startswith(f"this process (pid {first.pid} on ")
            assert "was taken for dead: pid " in said
            assert said.endswith("the same command goes on when that one is done")
            assert ask(first) == said
            end(first)
            lock.hold()
        assert drives(paths) is None


def test_a_paused_driver_that_nobody_followed_goes_on(mounted_results: str) -> None:
    with process(DRIVES, mounted_results, boot=ELSEWHERE) as first:
        stop(first)
        first.send_signal(signal.SIGCONT)
        assert ask(first) == "held"
        end(first)


def test_no_lock_of_the_system_is_asked_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LockFile, *, shared: bool) -> None:
        raise AssertionError("a lock was asked for")

    monkeypatch.setattr(LockFile, "lock", refuse)
    mount(monkeypatch, tmp_path / "shared", below=tmp_path)
    paths = ResultsPaths(tmp_path / "shared/results")
    with driving(paths, "study") as lock:
        lock.hold()
    assert not list(paths.root.rglob("*.lock"))


def test_the_newest_documents_are_there_once_a_study_at_a_uri_is_driven(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, renew_seconds=lease.RENEW_SECONDS)
    paths = known_results(f"{bucket}/results")
    open_mirror(f"{bucket}/results").objects.write("study/final.json", b"{}")
    assert not paths.study("study").final.exists()
    with driving(paths, "study"):
        assert paths.study("study").final.read_bytes() == b"{}"


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_root_that_cant_be_written_refuses_whoever_could_write_beside_it(
    is_writable: bool, paths: ResultsPaths, no_locks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "access", lambda *_: is_writable)
    if not is_writable:
        with driving(paths, "study") as lock:
            lock.hold()
        return
    with pytest.raises(StoreError, match="can't be locked: Permission denied"):
        drives(paths)


def test_storage_that_is_away_is_a_sentence(
    shared_results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    paths = known_results(shared_results)
    for kind in (FolderPlace, ObjectPlace):
        monkeypatch.setattr(kind, "look", refuse)
    with pytest.raises(StoreError, match=r"can't be leased: Input/output error; try again when"):
        drives(paths)


def test_who_is_named_on_shared_storage_is_who_drives(shared_results: str) -> None:
    paths = known_results(shared_results)
    assert owner_in(paths) is None
    with driving(paths, "study"):
        owner = owner_in(paths)
        assert owner is not None
        assert owner.pid == Owner.of_this_process().pid
    assert owner_in(paths) is None
