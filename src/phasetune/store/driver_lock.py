"""One driver per study, which its lock names: whoever comes second is told whom to wait for.

The operating system's lock on the study's `driver.lock` decides, and what the file says only tells
who holds it. On a file system without locks what it says decides; there, two drivers that start
within the same instant do not see each other.

A driver that ends in good order clears what it said. What is still there when the lock is taken
over is the name of one that did not.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.lock import InUse, in_use
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, StudyPaths


class DriverLock:
    """Shared use of a results root and sole use of one of its studies.

    `left_by` is the driver from which it was taken over, where one ended without clearing it.
    """

    def __init__(self, paths: StudyPaths, root: InUse) -> None:
        self._paths = paths
        self._root = root
        self._file: LockFile | None = None
        self.left_by: Owner | None = None

    def hold(self) -> None:
        """Hold both from here on; the study's folder is made.

        Where this process may not write the study's folder nothing is held, and nothing written.

        Raises:
            StoreError: another driver works on the study, somebody deletes at this moment, or who
                works on it can't be known.
        """
        self._root.hold()
        make_folder(self._paths.root)
        self.hold_study()

    def hold_study(self) -> None:
        """Hold the study alone, whose folder is there; otherwise as `hold`."""
        if self._file is not None:
            return
        try:
            self._file = self._claimed()
        except OSError as error:
            is_forbidden = error.errno in (errno.EACCES, errno.EROFS)
            if not is_forbidden or os.access(self._paths.root, os.W_OK):
                raise StoreError(self._unknown(error)) from error

    def close(self) -> None:
        """Give the study back; nothing in a child that was forked, whose parent still drives."""
        if self._file is not None and self._file.is_open:
            with suppress(OSError):  # the lock is given back all the same
                self._file.clear()
            self._file.close()

    def _claimed(self) -> LockFile:
        file = LockFile(self._paths.driver_lock, writes=True)
        try:
            self._claim(file)
        except BaseException:
            file.close()
            raise
        return file

    def _claim(self, file: LockFile) -> None:
        try:
            file.lock(shared=False)
        except NoLocksError:
            self._take_over_without_locks(file)
        except BlockingIOError as error:
            raise StoreError(self._refusal(Owner.of_content(file.read()))) from error
        else:
            self._take_over(file)

    def _take_over(self, file: LockFile) -> None:
        self.left_by = Owner.of_content(file.read())
        with suppress(OSError):  # a full disk is no obstacle to a study that writes nothing
            file.write(Owner.of_this_process().content)

    def _take_over_without_locks(self, file: LockFile) -> None:
        content = file.read()
        owner = Owner.of_content(content)
        if content and (owner is None or not owner.is_gone):
            raise StoreError(self._refusal_without_locks(owner))
        self.left_by = owner
        file.write(Owner.of_this_process().content)

    def _refusal(self, owner: Owner | None) -> str:
        """Who holds it; the name of a dead one is still there where the holder has only come."""
        if owner is None or owner.is_gone:
            return (
                f"another driver works on {self._paths.root} and has not said who it is; wait "
                f"until it is done, or find it with `fuser {self._paths.driver_lock}`"
            )
        return (
            f"another driver works on {self._paths.root}: {owner}; wait until it is done, or end "
            f"it there with `kill {owner.pid}`, which keeps what it computed, and run again"
        )

    def _refusal_without_locks(self, owner: Owner | None) -> str:
        if owner is not None and owner.is_of_this_machine:
            return self._refusal(owner)
        who = "what its lock says can't be read" if owner is None else str(owner)
        return (
            f"another driver may work on {self._paths.root}: {who}; its file system has no locks, "
            "so from here nobody can know whether that driver lives; if you know that it does "
            f"not, delete {self._paths.driver_lock} and run again"
        )

    def _unknown(self, error: OSError) -> str:
        return (
            f"{self._paths.driver_lock} can't be locked: {error.strerror or error}; so whether "
            "another driver works on the study is not known; make the file yours, or delete it "
            "when no driver runs"
        )


@contextmanager
def driving(paths: ResultsPaths, study: str) -> Iterator[DriverLock]:
    """Within the block no other driver works on the study, and nobody deletes below the root.

    Held from the start where the folders are there, else from `hold`: so a study that is refused
    before it computes anything makes no folder. It is to be called before anything is written.

    Raises:
        StoreError: as `DriverLock.hold` says.
    """
    study_paths = paths.study(study)
    with in_use(paths) as root, closing(DriverLock(study_paths, root)) as lock:
        if study_paths.root.is_dir():
            lock.hold_study()
        yield lock
