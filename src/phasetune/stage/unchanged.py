"""Whether sources are as they were, at a glance: without reading them again."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SETTLED_SECONDS = 2.0  # the coarsest clock of a file system


_Entry = tuple[Path, int, int, int]


@dataclass(frozen=True, kw_only=True)
class SourcesState:
    """What the system said of source files and of the folders that others could appear in.

    A file that changes twice within one tick of the file system's clock looks as if it had changed
    once, so only a state that `is_settled`, taken well after the last change, is to be relied on.
    """

    entries: tuple[_Entry, ...]
    is_settled: bool

    @property
    def is_current(self) -> bool:
        """Whether the system says the same now; then so do the files."""
        return all(_entry(entry[0]) == entry for entry in self.entries)


def sources_state(files: Iterable[Path], *, import_path: Iterable[str]) -> SourcesState:
    """The state of source files, of the folders that they lie in, and of the import path."""
    sources = list(files)
    folders = [*(path.parent for path in sources), *(Path(entry) for entry in import_path)]
    found = tuple(_entry(path) for path in dict.fromkeys((*sources, *folders)))
    newest = max((changed for _, _, _, changed in found), default=0)
    is_settled = time.time_ns() - newest > _SETTLED_SECONDS * 1e9
    return SourcesState(entries=found, is_settled=is_settled)


def _entry(path: Path) -> _Entry:
    """Where it lies on the disk, its size, and when it was last changed in any way."""
    try:
        stat = path.stat()
    except OSError:
        return path, 0, 0, 0
    return path, stat.st_ino, stat.st_size, stat.st_ctime_ns
