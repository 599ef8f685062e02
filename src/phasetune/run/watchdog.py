"""Ends a process whose run has reported nothing for too long."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class Watchdog:
    """Ends this process, leaving its traceback, when nothing was reported for too long.

    `faulthandler` does it from a thread of its own that needs no interpreter lock, so a hung
    extension is ended too.
    """

    def __init__(self, seconds: float | None, file: Path) -> None:
        self._seconds = seconds
        self._path = file
        self._file: TextIO | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block each `rearm` buys another period."""
        if self._seconds is None:
            yield
            return
        with self._path.open("w") as self._file:
            self.rearm()
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                self._file = None
        self._path.unlink(missing_ok=True)

    def rearm(self) -> None:
        """Start the period again."""
        if self._file is not None and self._seconds is not None:
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._file)
