"""Append-only files of JSON lines: one object a line, read on from where a reader was.

A line is one write, so a process that dies leaves at most its last line torn. Whoever appends next
ends that line first; whoever reads passes over lines that are no JSON objects, and leaves a last
line that has no end yet for later. Lines are not flushed to the disk one by one: what a power cut
takes away are the last ones.
"""

import errno
import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from phasetune.store.documents import plain
from phasetune.store.durable import make_folder

_TAIL_BYTES = 1 << 16


def line_text(entry: Mapping[str, Any]) -> str:
    """An entry as its line; numbers that JSON does not have become text such as `nan`."""
    return json.dumps(plain(entry), separators=(",", ":"), allow_nan=False) + "\n"


class LinesWriter:
    """Appends entries; the file is made when the first one is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Append entries by one write.

        Raises:
            OSError: they can't be written.
            StoreError: their folder can't be made.
        """
        text = "".join(map(line_text, entries)).encode(errors="backslashreplace")
        if self._file is None:
            self._file = self._opened()
        try:
            written = self._file.write(text)
            if written != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            self.close()
            raise

    def _opened(self) -> BinaryIO:
        make_folder(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            file.write(b"\n")
        return file

    def close(self) -> None:
        """Leave the file; the next entry opens it again."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None


class LinesReader:
    """Reads a file of lines that may grow meanwhile, from a position in bytes on."""

    def __init__(self, path: Path, *, position: int = 0) -> None:
        self.path = path
        self.position = position

    def new(self) -> Generator[dict[str, Any], None, None]:
        """Entries that were not read yet; `position` is behind the last one that was given.

        Nothing where the file is not there, is no plain file, or is shorter than what was read.
        """
        with suppress(OSError):
            if not self.path.is_file():
                return
            with self.path.open("rb") as file:
                file.seek(self.position)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self.position += len(line)
                    entry = _entry(line)
                    if entry is not None:
                        yield entry

    @property
    def waiting_bytes(self) -> int:
        """How much of the file was not read yet."""
        try:
            return max(0, self.path.stat().st_size - self.position)
        except OSError:
            return 0


def last_entry(path: Path) -> dict[str, Any] | None:
    """The last line that is whole and within the last 64 KiB; None where there is none."""
    found: dict[str, Any] | None = None
    with suppress(OSError):
        start = max(0, path.stat().st_size - _TAIL_BYTES)
        for entry in LinesReader(path, position=start).new():
            found = entry
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
