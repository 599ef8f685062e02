"""One driver per study on a file system without locks, where what the file says decides."""

import errno
import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from other_driver import driven_once, driver, drives, owner_in, stop
from phasetune import StoreError
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths


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


@pytest.mark.parametrize(
    "changes",
    [{"boot": "another", "pid": 2**31 - 1}, {"pid_namespace": "pid:[1]", "pid": 2**31 - 1}],
    ids=["another machine or boot", "another container"],
)
def test_a_driver_that_cant_be_seen_from_here_is_not_taken_for_dead(
    paths: ResultsPaths, no_locks: int, changes: dict[str, Any]
) -> None:
    path, owner = paths.study("study").driver_lock, Owner.of_this_process()
    path.write_bytes(replace(owner, host="elsewhere", **changes).content)
    message = f"on elsewhere, since {owner.since}, .*; if you know that it does not, delete "
    with pytest.raises(StoreError, match=message + f"{path} and run again"):
        drives(paths)
    path.unlink()
    assert drives(paths) is None


def test_what_names_nobody_is_not_taken_for_nobody(paths: ResultsPaths, no_locks: int) -> None:
    paths.study("study").driver_lock.write_bytes(b'{"pid": 12, "ho')
    with pytest.raises(StoreError, match="what its lock says can't be read; its file system"):
        drives(paths)


def test_an_empty_lock_is_nobody_s(paths: ResultsPaths, no_locks: int) -> None:
    assert drives(paths) is None


def test_who_can_t_say_who_it_is_does_not_drive(
    paths: ResultsPaths, no_locks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(StoreError, match="can't be locked: No space left on device"):
        drives(paths)
