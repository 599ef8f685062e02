"""Room on a disk: what files take, and what is left."""

import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from phasetune.store.remote.mirror import mirror_of
from phasetune.store.remote.names import is_of_this_machine

KIB = 1024
GIB = 1024**3
_UNITS = ("KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, kw_only=True)
class DiskSpace:
    """A disk's size and what is free of it, in bytes."""

    total: int
    free: int


def disk_free(path: Path) -> DiskSpace:
    """The disk that holds a path, or would hold it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return DiskSpace(total=usage.total, free=usage.free)


def size_bytes(path: Path) -> int:
    """What a file, or all files below a folder, hold; of results at a URI what they hold there.

    What vanished meanwhile counts nothing.
    """
    mirror = mirror_of(path)
    if mirror is not None and not is_of_this_machine(mirror.name(path)):
        return mirror.held_bytes(path)
    if not path.is_dir() or path.is_symlink():
        return _file_bytes(path)
    return sum(
        _file_bytes(Path(folder, name)) for folder, _, names in os.walk(path) for name in names
    )


def _file_bytes(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def size_text(size: int) -> str:
    """Such as `812 B`, `3.4 MiB`, `120 GiB`."""
    if size < KIB:
        return f"{size} B"
    power = min(int(math.log(size, KIB)), len(_UNITS))
    value = size / KIB**power
    return f"{value:.{0 if value >= 99.95 else 1}f} {_UNITS[power - 1]}"
