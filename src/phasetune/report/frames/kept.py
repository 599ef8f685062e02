"""A phase's tables on disk: read only where they are whole and say what the documents say.

Whole is a table whose digest is that among the study's views: Parquet itself does not notice each
flipped bit. What it was made from, the phase's plan and decision, is written into it: their size,
time and inode, so that they need not be hashed each time, and their digests for when these differ,
as after copying.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.errors import StoreError
from phasetune.store.digests import file_digest
from phasetune.store.documents import read_document
from phasetune.store.durable import replacing
from phasetune.store.paths import PhasePaths, StudyPaths

_MADE_FROM = "documents"
_SCHEMA = 2  # tables with other columns are made again


class KeptTables:
    """The tables that a study's phases have on disk."""

    def __init__(self, study: StudyPaths) -> None:
        self._study = study
        self._digests = _known_digests(study.views)

    def read(self, phase: PhasePaths, path: Path) -> pd.DataFrame | None:
        """A table as it was written; None where it is damaged, or made from something else."""
        if not self._is_whole(path):
            return None
        frame = pd.read_parquet(path)
        return frame if _is_of(phase, frame.attrs.pop(_MADE_FROM, {})) else None

    def _is_whole(self, path: Path) -> bool:
        known = self._digests.get(path.relative_to(self._study.root).as_posix())
        try:
            return path.is_file() and file_digest(path) == known
        except OSError:
            return False


def keep_table(frame: pd.DataFrame, phase: PhasePaths, path: Path) -> None:
    """Write a table and what it was made from, durably.

    Raises:
        StoreError: it can't be written.
    """
    told = frame.copy(deep=False)
    told.attrs = {**frame.attrs, _MADE_FROM: _made_from(phase)}
    with replacing(path) as draft:
        told.to_parquet(draft, index=False)


def _known_digests(views: Path) -> dict[str, Any]:
    try:
        return read_document(views) or {}
    except StoreError:
        return {}


def _made_from(phase: PhasePaths) -> dict[str, Any]:
    return {"schema": _SCHEMA, "stats": _stats(phase), "digests": _digests(phase)}


def _is_of(phase: PhasePaths, made_from: dict[str, Any]) -> bool:
    if made_from.get("schema") != _SCHEMA or not all(map(Path.is_file, _documents(phase))):
        return False
    return bool(made_from["stats"] == _stats(phase) or made_from["digests"] == _digests(phase))


def _documents(phase: PhasePaths) -> tuple[Path, Path]:
    return phase.plan, phase.decision


def _digests(phase: PhasePaths) -> list[str]:
    return [file_digest(path) for path in _documents(phase)]


def _stats(phase: PhasePaths) -> list[list[int]]:
    found = (path.stat() for path in _documents(phase))
    return [[stat.st_size, stat.st_mtime_ns, stat.st_ino] for stat in found]
