"""Where a study stands and who drives it, from its files alone: nobody is asked, no lock is taken.

It works from another shell or another machine on the same storage. Only of a process of this
machine can it be known whether it lives.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from phasetune.run.events import Event
from phasetune.run.journal import event_of
from phasetune.run.picture.study import Picture
from phasetune.store.documents import plain_file_size
from phasetune.store.lines import LinesReader
from phasetune.store.owner import Owner
from phasetune.store.paths import StudyPaths

_MOST_LOCK_BYTES = 1 << 16


class State(StrEnum):
    """What a study is doing; `PERHAPS` where its driver is of another machine."""

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
    be known from here.
    """

    picture: Picture
    owner: Owner | None
    is_alive: bool | None

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

    def new(self) -> Iterator[Event]:
        """Events since the last time; each is in the picture when it is given."""
        for entry in self._reader.new():
            found = event_of(entry)
            if found is not None:
                self._picture = self._picture.take(*found)
                yield found[1]

    @property
    def whereabouts(self) -> Whereabouts:
        """Where the study stands by what was read, and who drives it now."""
        owner = driver_of(self.paths)
        return Whereabouts(picture=self._picture, owner=owner, is_alive=_is_alive(owner))


def driver_of(paths: StudyPaths) -> Owner | None:
    """Whom the study's lock names; None where nobody drives it, or the lock can't be read."""
    with suppress(OSError):
        plain_file_size(paths.driver_lock)  # of a pipe one would wait for the end
        with paths.driver_lock.open("rb") as file:
            return Owner.of_content(file.read(_MOST_LOCK_BYTES))
    return None


def _is_alive(owner: Owner | None) -> bool | None:
    if owner is None:
        return False
    return not owner.is_gone if owner.is_of_this_machine else None
