"""Ctrl-C and SIGTERM: the first asks for an end at a checkpoint, the second ends at once."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 15.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], object] | int | None


class Interrupted(BaseException):
    """The driver ends now; not an Exception, so that no `except Exception` holds it up.

    `is_second` where it was asked before: then nothing is waited for.
    """

    def __init__(self, signum: int, *, is_second: bool = False) -> None:
        self.signum = signum
        self.is_second = is_second
        super().__init__(signal.Signals(signum).name)

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM (SIGHUP counts as SIGTERM)."""
        return 130 if self.signum == signal.SIGINT else 143


class StopSwitch:
    """Whether the study was asked to stop, by which signal, and since when."""

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self.signum: int | None = None
        self._asked_at = 0.0
        self.grace_seconds = grace_seconds
        self._heard: list[signal.Signals] = []
        self._followers: list[Callable[[], object]] = []

    @property
    def asked(self) -> bool:
        """Whether somebody asked for an end."""
        return self.signum is not None

    @property
    def overdue(self) -> bool:
        """Whether runs had their time to reach a checkpoint."""
        return self.asked and time.monotonic() - self._asked_at > self.grace_seconds

    def ask(self, signum: int) -> None:
        """Ask for an end; a second time means at once.

        Raises:
            Interrupted: it had been asked before.
        """
        if self.asked:
            raise Interrupted(signum, is_second=True)
        self.signum, self._asked_at = signum, time.monotonic()
        for follower in self._followers:
            follower()

    def ask_as_signal(self, signum: signal.Signals) -> None:
        """`ask` from another thread: the main thread hears it as a signal, where it hears signals;
        elsewhere a second time changes nothing.
        """
        main = threading.main_thread().ident
        if signum in self._heard and main is not None:
            signal.pthread_kill(main, signum)
        elif not self.asked:
            self.ask(signum)

    def raise_if_asked(self) -> None:
        """Leave the driver where nothing is running.

        Raises:
            Interrupted: somebody asked for an end.
        """
        if self.signum is not None:
            raise Interrupted(self.signum)

    @contextmanager
    def followed_by(self, follower: Callable[[], object]) -> Iterator[None]:
        """Within the block `follower` is called when somebody asks, or at once if they did."""
        self._followers.append(follower)
        try:
            if self.asked:
                follower()
            yield
        finally:
            self._followers.remove(follower)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block signals ask for an end."""
        with _heard_by(self._on_signal) as self._heard:
            try:
                yield
            finally:
                self._heard = []

    def listen_again(self) -> None:
        """Take the signals back from a library that took them, as `ray.init` does with SIGTERM."""
        for signum in self._heard:
            signal.signal(signum, self._on_signal)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Within the block, a run in this process is ended when its time to stop is over."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._on_alarm)
        try:
            with self.followed_by(lambda: _set_timer(self.grace_seconds)):
                yield
        finally:
            _set_timer(0.0)
            signal.signal(signal.SIGALRM, before)

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self.ask(signum)

    def _on_alarm(self, _signum: int, _frame: FrameType | None) -> None:
        self.raise_if_asked()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block a signal raises `Interrupted`, except where a `StopSwitch` listens: before a
    study starts there is no checkpoint to wait for.
    """
    with _heard_by(_raise):
        yield


def _raise(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signum)


@contextmanager
def _heard_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[list[signal.Signals]]:
    """Within the block the handler hears the signals that this gives; outside the main thread none.

    A signal that is ignored stays ignored, as `nohup` wants it.
    """
    is_main = threading.current_thread() is threading.main_thread()
    heard = [s for s in SIGNALS if is_main and signal.getsignal(s) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, handler) for signum in heard}
    try:
        yield heard
    finally:
        for signum, earlier in before.items():
            signal.signal(signum, earlier)


def _set_timer(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)
