"""TensorBoard's event files: records of a length, an event and two checksums, appended.

One file for each record, in which whoever goes on writes on: what a process that died left torn at
the end is cut off first, so that TensorBoard reads over it. The format is TensorFlow's TFRecord:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from phasetune.store.durable import make_folder

FILE = "events.out.tfevents.0.phasetune"
_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_LARGEST_BYTES = 1 << 26
_VERSION = "brain.Event:2"


class EventFile:
    """A file of events with one writer, which is read once and appended to after that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end: int | None = None

    def events(self) -> Iterator[Any]:
        """Whole events, up to the first that is torn or damaged.

        Raises:
            OSError: the file is not there or can't be read.
        """
        from tensorboardX.proto.event_pb2 import Event

        self._end = 0
        with self.path.open("rb") as file:
            while (content := _next_record(file)) is not None:
                self._end = file.tell()
                yield Event.FromString(content)

    def append(self, events: Iterable[Any]) -> None:
        """Append events by one write, behind the last whole one.

        Raises:
            OSError: they can't be written; the next ones take their place.
            StoreError: the folder can't be made.
        """
        if self._end is None and self.path.exists():
            for _ in self.events():
                pass
        self._end = self._written(self._end or 0, events)

    def _written(self, end: int, events: Iterable[Any]) -> int:
        from tensorboardX.proto.event_pb2 import Event

        first = [] if end else [Event(wall_time=0.0, file_version=_VERSION)]
        content = b"".join(_record(event.SerializeToString()) for event in (*first, *events))
        make_folder(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            file.truncate(end)
            file.seek(end)
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        return end + len(content)


def _next_record(file: Any) -> bytes | None:
    header = file.read(_LENGTH.size)
    if len(header) < _LENGTH.size or file.read(_CHECKSUM.size) != _checksum(header):
        return None
    length = _LENGTH.unpack(header)[0]
    content = file.read(length) if length <= _LARGEST_BYTES else b""
    is_whole = len(content) == length and file.read(_CHECKSUM.size) == _checksum(content)
    return bytes(content) if is_whole else None


def _record(content: bytes) -> bytes:
    header = _LENGTH.pack(len(content))
    return header + _checksum(header) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    from tensorboardX.record_writer import masked_crc32c

    return _CHECKSUM.pack(masked_crc32c(content))
