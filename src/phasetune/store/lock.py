"""Who works below a results root: studies share it, whoever deletes has it alone."""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.paths import ResultsPaths


class InUse:
    """Shared use of a results root; held from the start where there is a store, else from `hold`.

    So a study that is refused before it computes anything makes no folder.
    """

    def __init__(self, paths: ResultsPaths) -> None:
        self._paths = paths
        self._file: LockFile | None = None

    def __enter__(self) -> Self:
        if self._paths.store.is_dir():
            self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def hold(self) -> None:
        """Hold it from here on.

        Where the file can't be made, or the file system has no locks, nothing is held: then
        `exclusively` refuses too.

        Raises:
            StoreError: somebody deletes at this moment.
        """
        if self._file is not None:
            return
        make_folder(self._paths.store)
        try:
            self._file = _locked(self._paths.lock, shared=True)
        except BlockingIOError as error:
            raise StoreError(
                f"`phasetune gc` works on {self._paths.root} at this moment; run again when it is "
                "done"
            ) from error
        except NoLocksError:
            pass
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS):
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
        file = _locked(paths.lock, shared=False)
    except BlockingIOError as error:
        raise StoreError(
            f"a study runs below {paths.root} at this moment; try again when it is done"
        ) from error
    except OSError as error:
        raise StoreError(_unusable(paths.lock, error)) from error
    with closing(file):
        yield


def _locked(path: Path, *, shared: bool) -> LockFile:
    """The file, locked; for sole use it is opened for writing, without which NFS gives none."""
    file = LockFile(path, writes=not shared)
    try:
        file.lock(shared=shared)
    except OSError:
        file.close()
        raise
    return file


def _unusable(path: Path, error: OSError) -> str:
    return f"{path} can't be locked: {error.strerror or error}; keep results on another disk"
