"""Takes the terminal from libraries that print.

Ray prints boxes, tracebacks and warnings of its own. Within `quietly` they go to a log file in the
study's folder; listeners still see the terminal (`loudly`).
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from phasetune.store.durable import make_folder


class Terminal:
    """Takes the terminal from libraries that print, and lends it to those who should."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._streams: tuple[TextIO, TextIO] | None = None

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Within the block what is printed or logged by Ray goes to the log file."""
        make_folder(self._log.parent)
        self._streams = (sys.stdout, sys.stderr)
        with (
            self._log.open("a") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
            _logged_to(file),
        ):
            try:
                yield
            finally:
                self._streams = None

    @contextlib.contextmanager
    def loudly(self) -> Iterator[None]:
        """Within the block the terminal is back."""
        if self._streams is None:
            yield
            return
        out, err = self._streams
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield


@contextlib.contextmanager
def _logged_to(file: TextIO) -> Iterator[None]:
    logger = logging.getLogger("ray")
    before, propagate = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [logging.StreamHandler(file)], False
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = before, propagate
