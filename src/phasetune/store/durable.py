"""The one durable write: whatever it writes is whole or absent, also after a power cut.

A draft beside the target is filled, flushed to the disk, and renamed; then the folder's entry is
flushed too. `commit` is the only place where something becomes visible, for files and folders, and
`remove` the only one where something that was visible goes.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from phasetune.errors import StoreError

DRAFT_PREFIX = ".draft-"
TRASH_PREFIX = ".trash-"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        StoreError: the disk is full or the folder can't be written; no half of it is there.
    """
    with replacing(path) as draft:
        draft.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text; what can't be encoded, such as odd file names, is escaped."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def make_folder(path: Path) -> None:
    """Make a folder and those around it.

    Raises:
        StoreError: it can't be made; the message says why.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {path} can't be made: {error.strerror or error}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft to fill, in the target's folder; it replaces the target when the block ends well."""
    draft = path.parent / f"{DRAFT_PREFIX}{path.name[:60]}-{uuid.uuid4().hex[:12]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        commit(draft, path)
    except OSError as error:
        raise StoreError(
            f"{path} can't be written: {error.strerror or error}; no half of it was left there"
        ) from error
    finally:
        discard(draft)


def commit(draft: Path, target: Path) -> None:
    """Make a filled draft, a file or a folder, the target: flush, rename, flush the folder.

    A folder is not replaced: the first one that was committed stays, and OSError is raised.
    """
    for path in sorted(draft.rglob("*")) if draft.is_dir() else ():
        _flush(path)
    _flush(draft)
    draft.replace(target)
    _flush(target.parent)


def discard(draft: Path) -> None:
    """Remove a draft that was not committed, if it is still there."""
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            draft.unlink()


def remove(path: Path) -> None:
    """Delete a file or folder that is visible: gone by one rename, then unlinked bit by bit.

    What was killed in between leaves a `.trash-*` beside it, which may be removed in the same way.

    Raises:
        FileNotFoundError: it is gone already.
        OSError: it can't be removed.
    """
    trash = path
    if not path.name.startswith(TRASH_PREFIX):
        trash = path.parent / f"{TRASH_PREFIX}{path.name[:60]}-{uuid.uuid4().hex[:12]}"
        path.rename(trash)
        _flush(trash.parent)
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash)
    else:
        trash.unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
