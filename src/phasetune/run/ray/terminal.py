"""Takes the terminal from libraries that print, and passes on what a person should know of it.

Ray prints boxes, tracebacks and warnings of its own. Within `quietly` they go to a log file in the
study's folder; listeners still see the terminal (`loudly`). What it logs as a warning or worse, and
what its raylet or autoscaler have it print, is told to a listener as well: each message once.
"""

import contextlib
import io
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from phasetune.run.events import Listener, Noticed
from phasetune.run.logs import Streams
from phasetune.store.durable import make_folder

_MOST_CHARACTERS = 300

# Known noise; what is not known goes through, since it may be what a person waits to read.
_NOISE = re.compile(
    "|".join(
        [
            # told in words of ours: interruptions, failed runs, dead workers, a lost cluster
            "Stop signal received",
            "(?:Experiment|Training) has been interrupted",
            "Trials did not complete",
            "Trial task failed",
            "Trial .*: Error (?:stopping trial|handling checkpoint)",
            "A worker died or was killed while executing",
            "(?:print_logs|listen_error_messages): ",
            "Failed to connect to GCS",
            r"Failed to fetch metrics for \d+ trial",
            # of Tune's own state, which nothing is decided from
            "Experiment state snapshotting has been triggered",
            # for those who call Ray themselves: its interface, its switches, what it will once do
            ".*\\b(?:is|are|been) deprecated\\b",
            "AIR_VERBOSITY is set",
            "The TensorboardX logger cannot be instantiated",
            "Detecting docker specified CPUs",
            "SIGTERM handler is not set",
            "The maximum number of pending trials has been automatically set",
            "Tune detects GPUs, but no trials are using GPUs",
        ]
    )
)
_PRINTED = re.compile(r"(?:\x1b\[\d+m)?\((?:raylet|autoscaler)\b[^)]*\)(?:\x1b\[0m)? ")
_PREFIX = re.compile(r"\Awarning: ", re.IGNORECASE)

# `ray.init` sets the level of the first itself, and warns from within the second
_LOGGERS = ("ray", "ray._private")


def worth_telling(message: str) -> str | None:
    """The first line of what Ray warns of, cut to 300 characters; None for known noise."""
    lines = _PREFIX.sub("", message.strip(), count=1).splitlines()
    if not lines or _NOISE.match(lines[0]):
        return None
    first = lines[0].strip()
    return first if len(first) <= _MOST_CHARACTERS else f"{first[: _MOST_CHARACTERS - 1]}…"


class Terminal:
    """Takes the terminal from libraries that print, and lends it to those who should.

    Ray prints and logs from threads of its own, so one at a time has the terminal lent.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._streams: Streams | None = None
        self._lending = threading.RLock()
        self._listener: Listener | None = None
        self._told: set[str] = set()
        self._untold: list[Noticed] = []

    def tells(self, listener: Listener) -> None:
        """Pass warnings on to this listener from now on, and those that had none before."""
        self._listener = listener
        untold, self._untold = self._untold, []
        for notice in untold:
            listener.notify(notice)

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Within the block what is printed or logged by Ray goes to the log file."""
        make_folder(self._log.parent)
        with contextlib.ExitStack() as entered:
            file = entered.enter_context(_RayLog(self._log, self._heard))
            self._streams = Streams.now()
            entered.enter_context(Streams(out=file, err=file).lent())
            entered.enter_context(_logged_to(file, self._heard))
            try:
                yield
            finally:
                with self._lending:  # else it would be given back what is closed here
                    self._streams = None
                    entered.close()

    @contextlib.contextmanager
    def loudly(self) -> Iterator[None]:
        """Within the block the terminal is back."""
        with self._lending:
            if self._streams is None:
                yield
                return
            with self._streams.lent():
                yield

    def _heard(self, message: str) -> None:
        """Called wherever Ray prints and logs, which nothing that a listener does may end."""
        text = worth_telling(message)
        if text is None or text in self._told:
            return
        self._told.add(text)
        notice = Noticed(message=f"Ray: {text}")
        if self._listener is None:
            self._untold.append(notice)
            return
        with self.loudly(), contextlib.suppress(Exception):
            self._listener.notify(notice)


class _RayLog(io.TextIOWrapper):
    """The log file; hears what raylet and autoscaler have to say, which Ray prints for them.

    What a full disk refuses is lost: to print is no reason for Tune to end.
    """

    def __init__(self, path: Path, heard: Callable[[str], None]) -> None:
        super().__init__(path.open("ab"), encoding="utf-8", errors="backslashreplace")
        self._heard = heard

    def write(self, text: str, /) -> int:
        said = _PRINTED.match(text)
        if said is not None:
            self._heard(text[said.end() :])
        with contextlib.suppress(OSError):
            super().write(text)
            if "\n" in text:
                super().flush()
        return len(text)

    def close(self) -> None:
        """Leave the file, whatever the disk says."""
        with contextlib.suppress(OSError):
            super().close()


class _Warnings(logging.Handler):
    """Hears what is logged as a warning or worse."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def handle(self, record: logging.LogRecord) -> Any:
        """Without the handler's lock: a thread that holds it must not wait for the terminal."""
        self._heard(record.getMessage())
        return True


def _is_written(record: logging.LogRecord) -> bool:
    """Known noise that is no error comes with each snapshot of Tune's, and would fill the log."""
    return record.levelno >= logging.ERROR or worth_telling(record.getMessage()) is not None


@contextlib.contextmanager
def _logged_to(file: _RayLog, heard: Callable[[str], None]) -> Iterator[None]:
    logger, *_ = loggers = [logging.getLogger(name) for name in _LOGGERS]
    before, propagate = logger.handlers[:], logger.propagate
    levels = [one.level for one in loggers]
    written = logging.StreamHandler(file)
    written.addFilter(_is_written)
    logger.handlers[:], logger.propagate = [written, _Warnings(heard)], False
    for one in loggers:
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = before, propagate
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
