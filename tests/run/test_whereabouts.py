"""Who drives a study from another machine, as whoever reads on finds out by the lease."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from phasetune.run.whereabouts import Follower, State, driver_of
from phasetune.store.driver_lock import driver_place, driving
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths
from shared_storage import known_results
from shared_storage import mounted_results as mounted_results

ELSEWHERE = replace(Owner.of_this_process(), boot="another", host="node7")


def says(count: int) -> bytes:
    return ELSEWHERE.content + b"token %012d 1234567890.250\n" % count


@pytest.fixture
def paths(mounted_results: str) -> ResultsPaths:
    """Results on a network file system with a study that is driven from another machine."""
    paths = known_results(mounted_results)
    place = driver_place(paths, "study")
    place.look()
    assert place.claim(says(1))
    return paths


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is, to be set."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_one_look_tells_who_and_when_but_not_whether_it_lives(paths: ResultsPaths) -> None:
    where = Follower(paths.study("study")).whereabouts
    assert (where.owner, where.is_alive, where.renewed_at) == (ELSEWHERE, None, 1234567890.25)
    assert where.state is State.PERHAPS
    assert driver_of(paths.study("study")) == ELSEWHERE


def test_who_reads_on_sees_it_renewed_and_then_silent(
    paths: ResultsPaths, clock: list[float]
) -> None:
    follower = Follower(paths.study("study"))
    seen: list[bool | None] = []
    for seconds, count in ((0, 1), (20, 1), (25, 2), (50, 2), (56, 2), (57, 3)):
        clock[0] = 100.0 + seconds
        _renew(paths, count)
        seen.append(follower.whereabouts.is_alive)
    assert seen == [None, None, True, True, False, True]


def test_one_that_was_never_seen_to_renew_is_gone_after_a_watch(
    paths: ResultsPaths, clock: list[float]
) -> None:
    follower = Follower(paths.study("study"))
    assert follower.whereabouts.is_alive is None
    clock[0] += 31.0
    assert follower.whereabouts.is_alive is False


def test_one_that_gave_it_back_drives_no_longer(paths: ResultsPaths) -> None:
    place = driver_place(paths, "study")
    place.look()
    place.release(b"token")
    where = Follower(paths.study("study")).whereabouts
    assert (where.owner, where.is_alive, where.renewed_at) == (None, False, None)


def test_a_driver_of_this_machine_is_known_at_once(mounted_results: str) -> None:
    paths = known_results(mounted_results)
    with driving(paths, "study"):
        where = Follower(paths.study("study")).whereabouts
        assert where.state is State.RUNNING
        assert where.renewed_at is not None


def test_without_leases_it_can_t_be_known_however_long_one_reads_on(
    tmp_path: Path, clock: list[float]
) -> None:
    study = ResultsPaths(tmp_path).study("study")
    study.root.mkdir()
    study.driver_lock.write_bytes(ELSEWHERE.content)
    follower = Follower(study)
    assert follower.whereabouts.is_alive is None
    clock[0] += 1000.0
    assert follower.whereabouts.is_alive is None


def _renew(paths: ResultsPaths, count: int) -> None:
    place = driver_place(paths, "study")
    place.look()
    assert place.renew(b"token", says(count))
