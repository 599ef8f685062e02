"""What of a mirror is not as it is at the URI, name by name; pure but for looking at files."""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from phasetune.store.remote.names import (
    grows,
    is_bulk,
    is_of_artifact,
    is_of_attempt,
    is_of_this_machine,
)
from phasetune.store.remote.objects import ObjectState

SMALL_BYTES = 1 << 16
SETTLED_NS = 5_000_000_000
"""Smaller documents are brought again where they were brought so soon after they were written:
within a second, which is all that some storages tell, they may change and keep their size.
"""


def is_due(name: str, there: ObjectState, here: os.stat_result | None) -> bool:
    """Whether what is there is, or may be, another content than what is here."""
    if here is None or there.size != here.st_size:
        return here is None or not grows(name) or there.size > here.st_size
    if is_of_artifact(name) or grows(name):
        return False
    if there.changed_ns != here.st_mtime_ns:
        return True
    return there.size < SMALL_BYTES and not _was_settled(there, here)


def _was_settled(there: ObjectState, here: os.stat_result) -> bool:
    """Whether it was brought when it had been as it is for a while; storages that don't tell when
    something was written are asked each time.
    """
    return there.changed_ns > 0 and here.st_ctime_ns - there.changed_ns > SETTLED_NS


def is_outdated(name: str, here: os.stat_result, there: ObjectState | None) -> bool:
    """Whether what is here is not what is there, and it is not brought on its own."""
    if stays_here(name):
        return False
    return there is None or (is_bulk(name) and there.size != here.st_size)


def stays_here(name: str) -> bool:
    """Whether it is not forgotten where it is not at the URI."""
    return is_of_this_machine(name) or grows(name)


def is_of(studies: Collection[str | None], name: str) -> bool:
    """Whether it is a document that the driver of one of the studies writes."""
    return name.partition("/")[0] in studies and not is_of_attempt(name)


def files_here(root: Path, path: Path) -> dict[str, os.stat_result]:
    """What lies at or below a path, by its name relative to the root."""
    names = [str(path)] if path.is_file() else []
    for folder, _, files in os.walk(path):
        names += [f"{folder}/{file}" for file in files]
    start, found = len(str(root)) + 1, {}
    for name in names:
        if (stat := stat_of(Path(name))) is not None:
            found[name[start:]] = stat
    return found


def stat_of(path: Path) -> os.stat_result | None:
    """What the file system says of a file; None where there is none."""
    with suppress(OSError):
        return path.lstat()
    return None


def identity(stat: os.stat_result | None) -> tuple[int, int] | None:
    """Another one after each time that the file was replaced."""
    return None if stat is None else (stat.st_ino, stat.st_mtime_ns)
