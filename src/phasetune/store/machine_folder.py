"""The folder on this machine's own disk for what can't lie on storage that machines share."""

import hashlib
import os
from functools import cache
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store import file_systems
from phasetune.store.file_systems import network_file_system

CACHE = "PHASETUNE_CACHE"
"""Names another folder, such as one on a larger disk."""
_TEMPORARY = Path("/var/tmp")  # noqa: S108 - only a folder that nobody else owns is used


def machine_folder() -> Path:
    """`$PHASETUNE_CACHE`, else `$XDG_CACHE_HOME/phasetune`, else `~/.cache/phasetune`; where homes
    are shared by machines `/var/tmp/phasetune-UID` instead of the last two.

    Raises:
        StoreError: there is none: no home folder, or another user's below `/var/tmp`; the message
            says how to name one.
    """
    try:
        return _machine_folder()
    except (RuntimeError, OSError) as error:
        raise StoreError(
            f"this machine has no folder of its own for phasetune ({error}); name one by {CACHE}"
        ) from error


def _machine_folder() -> Path:
    named = os.environ.get(CACHE)
    if named:
        return Path(named).resolve()
    caches = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(caches) if caches else Path.home() / ".cache").resolve() / "phasetune"
    if _is_shared(folder, file_systems.MOUNTS):
        return _of_nobody_else(_TEMPORARY)
    return folder


@cache  # it is asked with each durable write
def _is_shared(folder: Path, mounts: Path) -> bool:
    return network_file_system(folder, mounts=mounts) is not None


def _of_nobody_else(temporary: Path) -> Path:
    """Everybody may make folders there, also under our name."""
    folder = temporary / f"phasetune-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if found.st_uid != os.getuid() or folder.is_symlink():
            raise StoreError(
                f"{folder} is another user's; name a folder of this machine by {CACHE}"
            ) from None
    return folder


def local_root(root: Path) -> Path:
    """Where what must not be shared of a results root lies, such as databases and locks: in itself,
    else in a folder of this machine where it lies on a network file system. The mirror of a URI is
    a folder of this machine already.
    """
    if network_file_system(root) is None:
        return root
    return (
        machine_folder() / "roots" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    )
