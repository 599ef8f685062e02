"""One holder at a time on storage that machines share: who lives is left alone, who does not is
followed, and who was taken for dead finds out.
"""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.store import lease as module
from phasetune.store.lease import Lease, LeaseHeldError, Waiting, renewed_at
from phasetune.store.lease_places import FolderPlace, ObjectPlace, Place
from phasetune.store.owner import Owner
from shared_storage import hurry

HERE = Owner.of_this_process()
ELSEWHERE = replace(HERE, boot="another", host="node7")
GONE = replace(HERE, started_ticks=HERE.started_ticks + 1)
OF_ANOTHER = ELSEWHERE.content + b"token 000000000007 1234567890.250\n"

MakePlace = Callable[[], Place]


@pytest.fixture(params=["folder", "object"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> MakePlace:
    """The same place, as each one who comes has it."""
    if request.param == "folder":
        return lambda: FolderPlace(tmp_path / "lease")
    uri = request.getfixturevalue("bucket")
    return lambda: ObjectPlace(uri, ".leases/one")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def left(place: MakePlace, content: bytes) -> None:
    """Somebody claimed it, and was not heard of since."""
    found = place()
    found.look()
    while not found.claim(content):  # at a URI a holder may renew it at this very moment
        found.look()


def acquired(place: MakePlace, waiting: Waiting | None = None) -> Lease:
    found = Lease(place(), waiting or Waiting())
    found.acquire()
    return found


def test_it_is_held_until_it_is_given_back(place: MakePlace) -> None:
    for _ in range(3):
        first = acquired(place)
        assert first.left_by is None
        first.check()
        with pytest.raises(LeaseHeldError) as refused:
            acquired(place)
        owner = refused.value.owner
        assert owner is not None
        assert owner == replace(HERE, since=owner.since)
        assert first.close()
        first.close()
        assert place().look() == b""


def test_it_says_who_and_when_in_as_many_bytes_each_time(place: MakePlace) -> None:
    held = acquired(place)
    before = after = place().look()
    while after == before:
        after = place().look()
    held.close()
    assert Owner.of_content(after) == Owner.of_content(before)
    assert len(after) == len(before)
    times = [renewed_at(content) for content in (before, after)]
    assert None not in times
    assert times == sorted(times)  # type: ignore[type-var]


def test_one_that_died_here_is_followed_at_once_and_named(place: MakePlace) -> None:
    left(place, GONE.content + b"token 000000000003\n")
    told: list[str] = []
    held = acquired(place, Waiting(tell=told.append))
    assert (held.left_by, told) == (GONE, [])
    held.check()
    held.close()


@pytest.mark.parametrize("content", [OF_ANOTHER, b'{"pid": 12, "ho'], ids=["named", "torn"])
def test_one_of_another_machine_is_watched_and_followed_when_it_is_silent(
    content: bytes, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.1)
    left(place, content)
    told: list[str] = []
    held = acquired(place, Waiting(tell=told.append))
    assert held.left_by == Owner.of_content(content)
    assert len(told) == 1
    named = str(ELSEWHERE) if content == OF_ANOTHER else place().shown
    assert told[0].startswith(f"from here it can't be seen whether {named} lives: watching for 0 s")
    held.close()


class Acts:
    """Does something at the third look that somebody takes."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._looks = act, 0

    def __call__(self) -> None:
        self._looks += 1
        if self._looks == 3:
            self._act()


def test_one_of_another_machine_that_renews_is_left_alone(place: MakePlace) -> None:
    left(place, OF_ANOTHER)
    holder = place()
    holder.look()
    later = OF_ANOTHER.replace(b"07 ", b"08 ")
    waiting = Waiting(raise_if_asked=Acts(lambda: holder.renew(b"token", later)))
    with pytest.raises(LeaseHeldError) as refused:
        acquired(place, waiting)
    assert refused.value.owner == ELSEWHERE
    assert place().look() == later


def test_one_of_another_machine_that_ends_while_it_is_watched_is_followed(
    place: MakePlace,
) -> None:
    left(place, OF_ANOTHER)
    holder = place()
    holder.look()
    waiting = Waiting(raise_if_asked=Acts(lambda: holder.release(b"token")))
    held = acquired(place, waiting)
    assert held.left_by is None
    held.close()


def test_whoever_is_asked_to_end_watches_no_longer(place: MakePlace) -> None:
    class Asked(BaseException):
        pass

    def ask() -> None:
        raise Asked

    left(place, OF_ANOTHER)
    with pytest.raises(Asked):
        acquired(place, Waiting(raise_if_asked=ask))
    assert place().look() == OF_ANOTHER


def test_who_was_taken_for_dead_is_told_once_and_leaves_the_other_one_alone(
    place: MakePlace,
) -> None:
    lost = threading.Event()
    paused = acquired(place, Waiting(on_lost=lost.set))
    left(place, OF_ANOTHER)
    assert lost.wait(30)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"was taken for dead: .* on node7, .* came after it"):
            paused.check()
    paused.close()
    assert place().look() == OF_ANOTHER


def test_who_wakes_looks_before_it_goes_on(
    place: MakePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 60.0)
    paused, untouched = acquired(place), acquired(lambda: FolderPlace(tmp_path / "other"))
    left(place, OF_ANOTHER)
    untouched.check()
    paused.check()  # nothing is asked of the storage in between
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.0)
    untouched.check()
    with pytest.raises(StoreError, match="was taken for dead"):
        paused.check()


class Away(FolderPlace):
    """A folder on storage that is away, as long as it is."""

    is_away = False

    def renew(self, token: bytes, content: bytes) -> bool:
        if self.is_away:
            raise OSError(errno.EIO, "Input/output error")
        return super().renew(token, content)


@pytest.mark.parametrize("watch_seconds", [1e9, 0.0], ids=["a while", "long"])
def test_storage_that_is_away_is_no_loss_before_others_could_have_come(
    watch_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.0 if watch_seconds else 60.0)
    monkeypatch.setattr(module, "WATCH_SECONDS", watch_seconds)
    place = Away(tmp_path / "lease")
    held = acquired(lambda: place)
    place.is_away = True
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.0)
    if watch_seconds:
        held.check()
        place.is_away = False
        held.check()
    else:
        with pytest.raises(StoreError, match=r"could not be renewed for 0 s \(Input/output error"):
            held.check()
        place.is_away = False
        with pytest.raises(StoreError, match="so another command may have come after this one"):
            held.check()
    held.close()


def test_a_forked_child_gives_nothing_back(place: MakePlace) -> None:
    held = acquired(place)
    pid = os.fork()
    if pid == 0:
        os._exit(1 if held.close() else 0)
    assert os.waitpid(pid, 0)[1] == 0
    assert place().look()
    held.check()
    held.close()
