"""Whether nobody but this user can have written what lies in a folder.

Some files run code when they are read: Tune's pickles, the import path in a kept study. Whoever
can write such a file, or swap a folder above it, runs code as whoever reads it. So before one is
read, everything below it and every folder above it, up to the results root, is looked at. Below a
folder that its owner alone can enter, nobody else reaches what their bits would let them write.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from phasetune.errors import StoreError

_OTHERS = {stat.S_IWOTH: "everybody", stat.S_IWGRP: "its group"}


def refuse_untrusted(path: Path, *, root: Path) -> None:
    """Refuse a file or folder that others than this user can write, or swap for another one.

    Raises:
        StoreError: as `why_untrusted` says.
    """
    reason = why_untrusted(path, root=root)
    if reason is not None:
        raise StoreError(reason)


def why_untrusted(path: Path, *, root: Path) -> str | None:
    """What speaks against trusting all that lies at or below a path, with the way out, or None.

    Everything there, and every folder above it up to the results root, has to belong to this user,
    not to be a symbolic link, and not to be writable by its group or by everybody who reaches it.

    Raises:
        ValueError: the path is not below the root.
    """
    parts = path.relative_to(root).parts
    is_shielded = False
    for depth in range(len(parts) + 1):
        found = root.joinpath(*parts[:depth])
        why = _objection(found, root, is_shielded=is_shielded)
        if why is not None:
            return why
        is_shielded = is_shielded or _keeps_others_out(found)
    objections = (_objection(found, root, is_shielded=is_shielded) for found in _below(path))
    return next((why for why in objections if why is not None), None)


def _below(path: Path) -> Iterator[Path]:
    """Links are not followed."""
    walked = os.walk(path, onerror=_refuse_unreadable) if path.is_dir() else ()
    for folder, folders, files in walked:
        yield from (Path(folder) / name for name in (*folders, *files))


def _keeps_others_out(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISDIR(mode) and not mode & (stat.S_IXGRP | stat.S_IXOTH)


def _refuse_unreadable(error: OSError) -> None:
    raise StoreError(
        f"{error.filename} can't be looked into, so who can write there is not known: "
        f"{error.strerror}; make it readable"
    )


def _objection(path: Path, root: Path, *, is_shielded: bool) -> str | None:
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path} can't be looked at: {error.strerror or error}"
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link, whose target others may choose; put a copy there"
    if found.st_uid != os.geteuid():
        return (
            f"{path} belongs to user {found.st_uid}, but you are user {os.geteuid()}; "
            "what others wrote runs as you when it is read; copy it if you trust them"
        )
    others = next((who for bit, who in _OTHERS.items() if found.st_mode & bit), None)
    if others is None or is_shielded:
        return None
    return (
        f"{path} can be written by {others} (mode {stat.S_IMODE(found.st_mode):04o}); what others "
        f"write there runs as you when it is read; if all there is yours, `chmod -R go-w {root}`"
    )
