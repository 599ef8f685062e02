"""Where Tune keeps an attempt: in its folder, or below the URI that the results lie at.

Tune pickles the file system that it is given into the attempt. One that is opened from a URI and
the environment has no secret in it: each process finds the credentials in its own environment.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.store.remote.mirror import mirror_of


@dataclass(frozen=True, kw_only=True)
class TuneStorage:
    """`path` as Tune takes it, together with the file system of pyarrow that it is a path of; None
    for this machine's own.
    """

    path: str
    file_system: Any


def tune_storage(folder: Path) -> TuneStorage:
    """Where Tune finds what this program calls `folder`."""
    mirror = mirror_of(folder)
    if mirror is None:
        return TuneStorage(path=str(folder), file_system=None)
    file_system, path = mirror.objects.located(mirror.name(folder))
    return TuneStorage(path=path, file_system=file_system)
