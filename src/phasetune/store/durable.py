"""The one durable write: whatever it writes is whole or absent, also after a power cut.

A draft beside the target is filled, flushed to the disk, and renamed; then the folder's entry is
flushed too. `commit` is the only place where something becomes visible, for files and folders, and
`remove` the only one where something that was visible goes; both do it by the one rename below, so
what a crash can leave is what stands before or after one of its calls.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.remote.mirror import mirror_of

DRAFT_PREFIX = ".draft-"
TRASH_PREFIX = ".trash-"
_PRIVATE = 0o700


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
    """Make a folder and those around it, for their owner alone; what is there stays as it is.

    Raises:
        StoreError: it can't be made; the message says why.
    """
    try:
        _make_missing(path)
    except OSError as error:
        raise StoreError(f"the folder {path} can't be made: {error.strerror or error}") from error


def _make_missing(path: Path) -> None:
    if path.is_dir():
        return
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            _make_private(folder)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE)
        folder.chmod(_PRIVATE)  # a umask may have taken the owner's own bits away
    except FileExistsError:
        if not folder.is_dir():  # else somebody else made it at this moment
            raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft to fill, in the target's folder; it replaces the target when the block ends well."""
    draft = path.parent / f"{DRAFT_PREFIX}{path.name[:60]}-{uuid.uuid4().hex[:12]}"
    try:
        _make_missing(path.parent)
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
    _rename(draft, target)


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
        _rename(path, trash)
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash)
    else:
        trash.unlink()


def withdraw(path: Path) -> None:
    """`remove`, or nothing where nothing is.

    Raises:
        StoreError: it is there and can't be removed.
    """
    try:
        remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} can't be removed: {error.strerror or error}") from error


def _rename(source: Path, target: Path) -> None:
    """The one durable write. Tests crash before or after its n-th call."""
    mirror = mirror_of(target)
    if mirror is not None:
        mirror.rename(source, target)
    source.replace(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    """What is no plain file or folder has nothing to flush; opening it might wait for ever."""
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
