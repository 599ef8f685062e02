"""Per run a plain log of what it prints: Python's streams, and in workers the descriptors below.

The file is made by the first thing that is printed. In a worker it is there while the run is, since
C code and child processes write to it by themselves, and goes again where nothing was printed. Each
try appends, behind one line that says which it is.

What goes through Python's streams is written line by line, without its secrets. What C code and
child processes write stands there as they wrote it, for a pipe to mask it in would be lost with the
worker that died, and with it the last words; `last_lines` masks those too.
"""

import ctypes
import io
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Self, TextIO

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.masking import masked

_HEADER = "=== attempt "
_STANDARD = (1, 2)
_MOST_BYTES = 64 << 10
_MOST_CHARACTERS = 300
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])")


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Python's streams as they are at one moment, to be lent while they are others."""

    out: TextIO
    err: TextIO

    @classmethod
    def now(cls) -> Self:
        """Those of this moment."""
        return cls(out=sys.stdout, err=sys.stderr)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within the block they are back."""
        with redirect_stdout(self.out), redirect_stderr(self.err):
            yield


@contextmanager
def logged(path: Path, *, attempt: str, is_worker: bool) -> Iterator[None]:
    """Within the block what is printed goes to the log; a disk that refuses loses it, and no run.

    In a worker the standard descriptors go there too; elsewhere they are somebody else's.
    """
    log = _Log(path, attempt)
    try:
        if is_worker:
            with _descriptors(log), _streams(log):
                yield
        else:
            with _streams(log):
                yield
    finally:
        log.close()


def last_lines(path: Path, *, count: int = 10) -> tuple[str, ...]:
    """The last lines that the newest try printed, empty ones left out; none where it printed none.

    At most the last 64 KiB are read. Lines are plain text that drives no terminal, without secrets,
    of at most 300 characters; one that was overwritten by carriage returns is as it was at last.
    """
    text = _end_of(path).decode(errors="replace")
    _, _, newest = f"\n{text}".rpartition(f"\n{_HEADER}")
    if newest != f"\n{text}":
        newest = newest.partition("\n")[2]
    lines = (_plain(line) for line in masked(newest).split("\n"))
    return tuple([line for line in lines if line][-count:])


def _end_of(path: Path) -> bytes:
    """The end of a file, from the beginning of a line on where there is one."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - _MOST_BYTES)
            file.seek(begin)
            content = file.read(_MOST_BYTES)
    except OSError:
        return b""
    _, newline, whole = content.partition(b"\n")
    return whole if begin and newline else content


def _plain(line: str) -> str:
    states = [state for state in line.split("\r") if state.strip()]
    if not states:
        return ""
    spaced = _ESCAPE.sub("", states[-1]).expandtabs(4)
    text = "".join(c for c in spaced if c.isprintable()).rstrip()
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


class _Log:
    """A log that is opened when it is needed."""

    def __init__(self, path: Path, attempt: str) -> None:
        self._path = path
        self._attempt = attempt
        self._file: FileIO | None = None
        self._size_before = 0
        self._size_with_header = 0
        self.is_closed = False

    def write(self, content: bytes) -> None:
        """Append, or lose it; a thread that prints on may find the file closed."""
        with suppress(OSError, ValueError, StoreError):
            self.opened().write(content)

    def opened(self) -> FileIO:
        """Its file.

        Raises:
            OSError, StoreError: it can't be opened.
        """
        if self._file is None:
            make_folder(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0)
            self._begin(self._file)
        return self._file

    def _begin(self, file: FileIO) -> None:
        self._size_before = size = _size(file)
        if size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n":
            file.write(b"\n")
        when = datetime.now(UTC).isoformat(timespec="seconds")
        who = f"host {socket.gethostname()}, process {os.getpid()}"
        file.write(f"{_HEADER}{self._attempt}, {when}, {who}\n".encode())
        self._size_with_header = _size(file)

    def close(self) -> None:
        """Leave it; where this try printed nothing it leaves nothing."""
        self.is_closed = True
        if self._file is None:
            return
        with suppress(OSError), self._file as file:
            if _size(file) == self._size_with_header:
                file.truncate(self._size_before)
                if self._size_before == 0:
                    self._path.unlink()


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


class _Printed(io.BufferedIOBase):
    """What is below a text stream that goes to a log.

    Who keeps such a stream for longer than the run, as `logging.basicConfig` does, prints on
    wherever the process prints then.
    """

    def __init__(self, log: _Log, name: str) -> None:
        self._log = log
        self._name = name

    @property
    def name(self) -> str:
        """As Python names its own."""
        return f"<{self._name}>"

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        text = bytes(content).decode(errors="surrogateescape")
        if self._log.is_closed:
            self._pass_on(text)
        else:
            self._log.write(masked(text).encode(errors="surrogateescape"))
        return len(content)

    def _pass_on(self, text: str) -> None:
        current = getattr(sys, self._name)
        if current is not None and getattr(current, "buffer", None) is not self:
            current.write(text)

    def fileno(self) -> int:
        """For child processes that are given the stream."""
        try:
            return self._log.opened().fileno()
        except StoreError as error:
            raise OSError(str(error)) from error


@contextmanager
def _streams(log: _Log) -> Iterator[None]:
    before = Streams.now()
    ours = Streams(out=_stream(log, "stdout"), err=_stream(log, "stderr"))
    with ours.lent(), _handlers_moved(before, ours):
        try:
            yield
        finally:
            ours.out.flush()
            ours.err.flush()


def _stream(log: _Log, name: str) -> TextIO:
    return io.TextIOWrapper(
        _Printed(log, name), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


@contextmanager
def _handlers_moved(before: Streams, ours: Streams) -> Iterator[None]:
    """Handlers that `logging.basicConfig` made earlier hold the stream of then."""
    targets = {id(before.out): ours.out, id(before.err): ours.err}
    moved = [
        (handler, handler.stream)
        for handler in logging.root.handlers
        if isinstance(handler, logging.StreamHandler) and id(handler.stream) in targets
    ]
    for handler, stream in moved:
        handler.setStream(targets[id(stream)])
    try:
        yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)


@contextmanager
def _descriptors(log: _Log) -> Iterator[None]:
    """Within the block the standard descriptors are the log's, where it can be opened."""
    try:
        target = log.opened().fileno()
        kept = [os.dup(descriptor) for descriptor in _STANDARD]
    except (OSError, StoreError):
        yield
        return
    _flush()
    for descriptor in _STANDARD:
        os.dup2(target, descriptor)
    try:
        yield
    finally:
        _flush()
        for descriptor, before in zip(_STANDARD, kept, strict=True):
            os.dup2(before, descriptor)
            os.close(before)


def _flush() -> None:
    """What Python and C hold back belongs to whom the descriptors belong to until now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)
