"""The folder on this machine's own disk for what can't lie on storage that machines share."""

import os
from pathlib import Path

CACHE = "PHASETUNE_CACHE"
"""Names another folder, such as one on a larger disk."""


def machine_folder() -> Path:
    """`$PHASETUNE_CACHE`, else `$XDG_CACHE_HOME/phasetune`, else `~/.cache/phasetune`.

    Raises:
        RuntimeError: nothing of this is set, and there is no home folder.
    """
    named = os.environ.get(CACHE)
    if named:
        return Path(named).resolve()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache").resolve() / "phasetune"
