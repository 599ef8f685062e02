"""Who works below a results root: studies share it, whoever deletes has it alone.

The operating system holds the lock for as long as a process has the file open, so nothing is stale
after a kill. The file stays: deleting a lock file would let two processes hold two locks.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.paths import ResultsPaths

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class InUse:
    """Shared use of a results root; held from the start where there is a store, else from `hold`.

    So a study that is refused before it computes anything makes no folder.
    """

    def __init__(self, paths: ResultsPaths) -> None:
        self._paths = paths
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if self._paths.store.is_dir():
            self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def hold(self) -> None:
        """Hold it from here on.

        Where the file can't be made, or the file system has no locks, nothing is held: then
        `exclusively` refuses too.

        Raises:
            StoreError: somebody deletes at this moment.
        """
        if self._descriptor is not None:
            return
        make_folder(self._paths.store)
        try:
            self._descriptor = _locked(self._paths.lock, fcntl.LOCK_SH)
        except BlockingIOError as error:
            raise StoreError(
                f"`phasetune gc` works on {self._paths.root} at this moment; run again when it is "
                "done"
            ) from error
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS, *_NO_LOCKS):
                raise StoreError(_unusable(self._paths.lock, error)) from error


def in_use(paths: ResultsPaths) -> InUse:
    """A context in which a study runs below a results root."""
    return InUse(paths)


@contextmanager
def exclusively(paths: ResultsPaths) -> Iterator[None]:
    """Within the block no study runs below the results root.

    Raises:
        StoreError: it is no results root, one runs, or that can't be known.
    """
    if not paths.exists:
        raise StoreError(
            f"{paths.root} holds no study; name a results root, as `phasetune run` made"
        )
    make_folder(paths.store)
    try:
        descriptor = _locked(paths.lock, fcntl.LOCK_EX)
    except BlockingIOError as error:
        raise StoreError(
            f"a study runs below {paths.root} at this moment; try again when it is done"
        ) from error
    except OSError as error:
        raise StoreError(_unusable(paths.lock, error)) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, kind: int) -> int:
    """The descriptor that holds the lock; the file is opened for reading where it is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _unusable(path: Path, error: OSError) -> str:
    return f"{path} can't be locked: {error.strerror or error}; keep results on another disk"
