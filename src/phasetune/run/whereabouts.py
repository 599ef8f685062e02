"""Where a study stands and who drives it, from its files alone: nobody is asked, no lock is taken.

It works from another shell or another machine on the same storage. Of a process of this machine
the system knows whether it lives. One of another machine is known by the lease that it renews, on
storage that machines share: whoever reads on knows after two looks that it does, or after the time
of a watch that it does not; after one look it is not known.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from phasetune.run.events import Event
from phasetune.run.journal import event_of
from phasetune.run.picture.study import Picture
from phasetune.store import lease
from phasetune.store.driver_lock import driver_says
from phasetune.store.lines import LinesReader
from phasetune.store.owner import Owner
from phasetune.store.paths import StudyPaths


class State(StrEnum):
    """What a study is doing; `PERHAPS` where its driver is of another machine, and was not seen to
    renew its lease yet.
    """

    RUNNING = "running"
    PERHAPS = "perhaps running"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    INCOMPLETE = "not complete"
    DONE = "done"

    @property
    def is_open(self) -> bool:
        """Whether more may happen by itself."""
        return self in (State.RUNNING, State.PERHAPS)


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """A study's picture at an instant, and whom its lock names; `is_alive` is None where that can't
    be known from here, `renewed_at` by the clock of the driver's machine where it has a lease.
    """

    picture: Picture
    owner: Owner | None
    is_alive: bool | None
    renewed_at: float | None = None

    @property
    def state(self) -> State:
        """By its driver, and else by how the last command ended; `DONE` is for others to tell."""
        ended = self.picture.ended
        if self.is_alive:
            return State.RUNNING
        if self.owner is not None and self.is_alive is None and ended is None:
            return State.PERHAPS
        if ended is None:
            return State.INTERRUPTED if self.picture.study else State.INCOMPLETE
        outcomes = {"interrupted": State.INTERRUPTED, "refused": State.REFUSED}
        return outcomes.get(ended.outcome, State.INCOMPLETE)


class Follower:
    """Reads a study's journal on from where it was."""

    def __init__(self, paths: StudyPaths) -> None:
        self.paths = paths
        self._reader = LinesReader(paths.events)
        self._picture = Picture()
        self._lease = _Watched(time.monotonic)

    def new(self) -> Iterator[Event]:
        """Events since the last time; each is in the picture when it is given."""
        for entry in self._reader.new():
            found = event_of(entry)
            if found is not None:
                self._picture = self._picture.take(*found)
                yield found[1]

    @property
    def picture(self) -> Picture:
        """The study by what was read."""
        return self._picture

    @property
    def whereabouts(self) -> Whereabouts:
        """Where the study stands by what was read, and who drives it now."""
        said = _said(self.paths)
        return Whereabouts(
            picture=self._picture,
            owner=Owner.of_content(said),
            is_alive=self._lease.is_alive(said),
            renewed_at=lease.renewed_at(said),
        )


def driver_of(paths: StudyPaths) -> Owner | None:
    """Whom the study's lock names; None where nobody drives it, or the lock can't be read."""
    return Owner.of_content(_said(paths))


def _said(paths: StudyPaths) -> bytes:
    with suppress(OSError):
        return driver_says(paths)
    return b""


class _Watched:
    """What a driver said at each look, and since when it says the same."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said = b""
        self._since = 0.0
        self._was_renewed = False

    def is_alive(self, said: bytes) -> bool | None:
        """Whether who says this now lives; None where that is not known yet, or can't be."""
        owner = Owner.of_content(said)
        if owner is None:
            return False
        if owner.is_of_this_machine:
            return not owner.is_gone
        if said != self._said:
            self._was_renewed = bool(self._said)
            self._said, self._since = said, self._clock()
        is_silent = self._clock() - self._since > lease.WATCH_SECONDS
        if is_silent and lease.renewed_at(said) is not None:
            return False
        return self._was_renewed or None
