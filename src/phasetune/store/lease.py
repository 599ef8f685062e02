"""Sole use of something on storage that machines share, for as long as it is renewed.

No machine can see whether a process of another one lives, and their clocks differ. So who holds a
lease counts up in it every few seconds, and who comes and finds one watches whether that goes on:
nothing is compared but what it said before and says now. A process of this machine is asked of the
system instead, and not waited for.

Who was paused for longer than others watch finds somebody else in its place. It is told so by
`check`, and leaves that one's lease alone. A storage that is away for a while is no news: only when
others could have taken the lease meanwhile does it count as lost.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from phasetune.errors import StoreError
from phasetune.store.lease_places import Place
from phasetune.store.owner import Owner

RENEW_SECONDS = 5.0
WATCH_SECONDS = 30.0
POLL_SECONDS = 1.0


def nobody_is_told(_: str) -> None:
    """For those whom nobody listens to."""


def nobody_asks() -> None:
    """For those whom nobody may interrupt."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How it is waited until it is known whether a holder lives, and what comes of a loss later.

    `tell` is called with a sentence; `raise_if_asked` raises where nobody waits any more. `on_lost`
    is called once, by another thread, when the lease no longer is one.
    """

    tell: Callable[[str], None] = nobody_is_told
    raise_if_asked: Callable[[], None] = nobody_asks
    on_lost: Callable[[], None] = nobody_asks


IMPATIENT = Waiting()


class LeaseHeldError(Exception):
    """Somebody else holds it and lives: the `owner`, where it said who it is."""

    def __init__(self, owner: Owner | None) -> None:
        self.owner = owner
        super().__init__(str(owner))


class Lease:
    """A lease on a place; `left_by` is the holder from which it was taken over."""

    def __init__(self, place: Place, waiting: Waiting) -> None:
        self._place = place
        self._waiting = waiting
        self._token = uuid.uuid4().hex.encode()
        self._owner = Owner.of_this_process()
        self._count = 0
        self._renewed_at = 0.0
        self._lost = ""
        self._one_at_a_time = threading.Lock()
        self._is_released = threading.Event()
        self.left_by: Owner | None = None

    def acquire(self) -> None:
        """Hold it from here on, renewed by a thread until `close`.

        Raises:
            LeaseHeldError: another one holds it and lives.
            OSError: the storage is away, or can't be written.
        """
        self.left_by = Owner.of_content(refuse_living([self._place], self._waiting)[0])
        self._renewed_at = _now()
        if not self._place.claim(self._content):
            raise LeaseHeldError(Owner.of_content(self._place.look()))
        threading.Thread(target=self._go_on, name="lease", daemon=True).start()

    def check(self) -> None:
        """Nothing where it is held.

        Raises:
            StoreError: it was lost; or it may have been, since it could not be renewed for long.
        """
        if not self._lost and self._age > 2 * RENEW_SECONDS:  # this process may have been paused
            self._renew()
        if self._lost:
            raise StoreError(self._lost)

    def close(self) -> bool:
        """Give it back, but not what is another one's by now; whether this process held it, and
        not its parent.

        Raises:
            OSError: the storage is away; others find out by themselves that it is not renewed.
        """
        if os.getpid() != self._owner.pid:
            return False
        with self._one_at_a_time:
            self._is_released.set()
            self._place.release(self._token)
        return True

    @property
    def _age(self) -> float:
        return _now() - self._renewed_at

    @property
    def _content(self) -> bytes:
        """As long as the one before, so that whoever reads meanwhile reads one of them."""
        own = f"{self._token.decode()} {self._count:012d} {time.time():017.3f}\n"
        return self._owner.content + own.encode()

    def _go_on(self) -> None:
        while not self._lost and not self._is_released.wait(RENEW_SECONDS):
            self._renew()
        if self._lost:
            self._waiting.on_lost()

    def _renew(self) -> None:
        with self._one_at_a_time:
            if self._is_released.is_set() or self._lost:
                return
            began, self._count = _now(), self._count + 1
            try:
                if self._place.renew(self._token, self._content):
                    self._renewed_at = began
                else:
                    self._lost = self._taken_over()
            except OSError as error:
                if self._age > WATCH_SECONDS:
                    self._lost = self._out_of_reach(error)

    def _taken_over(self) -> str:
        holder = Owner.of_content(self._place.look())
        who = "another command" if holder is None else str(holder)
        return (
            f"this process ({self._owner}) held {self._place.shown}, was paused or cut off for "
            f"{self._age:.0f} s, and was taken for dead: {who} came after it; what was computed is "
            "kept, and the same command goes on when that one is done"
        )

    def _out_of_reach(self, error: OSError) -> str:
        return (
            f"{self._place.shown} could not be renewed for {self._age:.0f} s "
            f"({error.strerror or error}), so another command may have come after this one; what "
            "was computed is kept, and the same command goes on when the storage is back"
        )


def refuse_living(places: Iterable[Place], waiting: Waiting) -> list[bytes]:
    """What nobody says any more at each of some places; found out within the time of one watch.

    Raises:
        LeaseHeldError: at one of them is somebody who lives.
        OSError: the storage is away.
    """
    said = {place: place.look() for place in places}
    for content in said.values():
        owner = Owner.of_content(content)
        if owner is not None and owner.is_of_this_machine and not owner.is_gone:
            raise LeaseHeldError(owner)
    unknown = {place: content for place, content in said.items() if _is_unknown(content)}
    if unknown:
        waiting.tell(_watching(unknown))
    until = _now() + WATCH_SECONDS
    while unknown:
        waiting.raise_if_asked()
        time.sleep(POLL_SECONDS)
        is_over = _now() >= until  # before the last look, so that it is one
        for place, before in tuple(unknown.items()):
            said[place] = place.look()
            if said[place] not in (before, b""):
                raise LeaseHeldError(Owner.of_content(said[place]))
            if is_over or not said[place]:
                del unknown[place]
    return list(said.values())


def _is_unknown(content: bytes) -> bool:
    """Whether nobody here can ask the system for whoever says this."""
    owner = Owner.of_content(content)
    return bool(content) and (owner is None or not owner.is_of_this_machine)


def renewed_at(content: bytes) -> float | None:
    """When a lease was renewed, in seconds since 1970 by its holder's clock."""
    words = content.partition(b"\n")[2].split()
    try:
        return float(words[2])
    except (IndexError, ValueError):
        return None


def _watching(places: dict[Place, bytes]) -> str:
    found = [str(Owner.of_content(content) or place.shown) for place, content in places.items()]
    return (
        f"from here it can't be seen whether {' and '.join(found)} lives: watching for "
        f"{WATCH_SECONDS:.0f} s whether its lease is renewed"
    )


def _now() -> float:
    """Goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
