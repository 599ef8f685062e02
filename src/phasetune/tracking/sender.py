"""A thread per tracker that tells it what happens, so that nothing else ever waits for one.

It reads what the study leaves, at most every half second. While a command works it rests after each
record that it tells, for longer than that took it: a run in this process wants the interpreter
too. A store that is down is tried again after 1, 2, 4 ... 60 seconds; meanwhile nothing is read, so
what waits is in the study's journal. At the end of a command it is given a bounded time to tell the
rest.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from phasetune.tracking.contract import Forgotten, Record, Tracker, Unavailable
from phasetune.tracking.memory import Memory
from phasetune.tracking.teller import Ending, Source, Teller, error_text

_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_RESTS_PER_WORK = 2.0
_LONGEST_REST_SECONDS = 1.0
SILENT_SECONDS = 2.0
"""How long people may wait for a tracker without being told so."""
_MOST_WAITING_BYTES = 100 << 20


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the end of a command waits: while nothing gets through, and altogether."""

    quiet_seconds: float = 15.0
    most_seconds: float = 60.0


def backoff_seconds(tries: int) -> float:
    """How long to wait after so many tries in vain, from 1 on; up to a half less at random.

    A generator of its own: a run in this process may draw from the global one.
    """
    longest = min(_LONGEST_PAUSE_SECONDS, 2.0 ** min(tries - 1, 10))
    return longest * random.SystemRandom().uniform(0.5, 1.0)


class Sender(threading.Thread):
    """Tells one tracker in the background; `tell` takes sentences for people, from this thread."""

    def __init__(
        self, tracker: Tracker, source: Source, memory: Memory, *, tell: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"tracker {tracker.name}", daemon=True)
        self.teller = Teller(tracker, source, memory, on_fault=self._say_fault, rest=self._rest)
        self._tell = tell
        self._is_ready = threading.Event()
        self._woken = threading.Event()
        self._ending: Ending | None = None
        self._insists = True
        self._worked_seconds = 0.0
        self._is_left = False
        self._said: set[str] = set()

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the tracker connected for the first time, or could not; whether it did."""
        return self._is_ready.wait(seconds)

    def end(self, ending: Ending, *, insists: bool = True) -> None:
        """The command is at its end: tell all that is left, then leave.

        Unless it `insists`, what fails is not tried again.
        """
        self._insists = insists
        self._ending = ending
        self._woken.set()

    def wait(self, patience: Patience, *, on_slow: Callable[[], object] = lambda: None) -> None:
        """Wait until all is told, as long as `patience` says; then tell nothing more.

        `on_slow` is called once where that takes longer than nobody would notice.
        """
        began = heard = time.monotonic()
        progress = self.teller.progress
        waits = [on_slow]
        try:
            while self.is_alive():
                self.join(0.05)
                now = time.monotonic()
                if self.teller.progress != progress:
                    progress, heard = self.teller.progress, now
                if now - heard > patience.quiet_seconds or now - began > patience.most_seconds:
                    return
                if waits and now - began > SILENT_SECONDS:
                    waits.pop()()
        finally:
            self.leave()

    def what_waits(self) -> str:
        """What it is doing, for people who wait for it."""
        tracker, number = self.teller.tracker, self.teller.num_waiting
        if not self.teller.is_connected:
            return f"waiting for tracker {tracker.name} ({tracker.place}) to answer ..."
        records = "1 record" if number == 1 else f"{number} records" if number else "what is left"
        return f"telling tracker {tracker.name} ({tracker.place}) about {records} ..."

    def leave(self) -> None:
        """Tell nothing more."""
        self._is_left = True
        self.teller.leave()
        self._woken.set()

    def run(self) -> None:
        """The thread's work; whatever a tracker does, it ends the thread at worst."""
        try:
            self._work()
        except BaseException as error:
            self._say_once("ended", f"is told nothing more in this command: {error_text(error)}")
        finally:
            self._is_ready.set()
            self._close()

    def _work(self) -> None:
        tries = 0
        while not self._is_left:
            ending = self._ending
            if tries and ending is not None and not self._insists:
                return
            try:
                self.teller.connect()
                self._is_ready.set()
                self.teller.tell_news()
                if ending is not None:
                    self.teller.tell_everything(ending)
                    return
                tries = 0
            except Forgotten as error:
                tries += 1
                self.teller.forget()
                self._say_once("forgotten", f"lost what it was told ({error}); it is told again")
            except Unavailable as error:
                tries += 1
                self.teller.disconnect()
                if not self._is_left:
                    self._say_once(
                        "unavailable", f"does not answer, what it is told waits: {error}"
                    )
            except Exception as error:
                tries += 1
                self.teller.read_again()
                self._say_once(
                    "source", f"can't read the study, and tries again: {error_text(error)}"
                )
            self._is_ready.set()
            self._warn_of_much()
            self._pause(tries)

    def _pause(self, tries: int) -> None:
        self._woken.wait(backoff_seconds(tries) if tries else _PAUSE_SECONDS)
        self._woken.clear()

    def _rest(self) -> None:
        """For longer than the record took this thread, which works only while others may not."""
        worked = time.thread_time()
        seconds = _RESTS_PER_WORK * (worked - self._worked_seconds)
        if self._ending is None and not self._is_left:
            self._woken.wait(min(seconds, _LONGEST_REST_SECONDS))
        self._worked_seconds = time.thread_time()

    def _warn_of_much(self) -> None:
        waiting = self.teller.source.waiting_bytes
        if waiting > _MOST_WAITING_BYTES:
            self._say_once("much", f"warning: {waiting >> 20} MiB wait for it in the journal")

    def _close(self) -> None:
        try:
            self.teller.close()
        except BaseException as error:
            self._say_once("close", f"could not be closed: {error_text(error)}")

    def _say_fault(self, record: Record, error: Exception) -> None:
        """Once: of a tracker with one fault there are often many."""
        self._say_once("fault", f"passed over {record.name!r}: {error_text(error)}")

    def _say_once(self, about: str, sentence: str) -> None:
        if about not in self._said:
            self._said.add(about)
            tracker = self.teller.tracker
            self._tell(f"tracker {tracker.name} ({tracker.place}) {sentence}")
