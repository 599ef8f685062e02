"""One driver per study, which its lock names: whoever comes second is told whom to wait for.

On a disk of this machine the operating system's lock on the study's `driver.lock` decides, and what
the file says only tells who holds it. On storage that machines share a lease decides
(`store/lease.py`): on a network file system alone, since locks there may hold on one machine only,
and on file systems without locks; at a URI together with the lock of this machine's mirror.

A driver that ends in good order clears what it said. What is still there when the lock is taken
over is the name of one that did not.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from phasetune.errors import StoreError
from phasetune.store.documents import plain_file_size
from phasetune.store.durable import make_folder
from phasetune.store.lease import IMPATIENT, Lease, LeaseHeldError, Waiting
from phasetune.store.lease_places import Place, lease_names, lease_place
from phasetune.store.lock import InUse, in_use, is_leased
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.remote.mirror import mirror_of, shown_path

_MOST_READ_BYTES = 1 << 16
_DRIVES = "drives-"


class DriverLock:
    """Shared use of a results root and sole use of one of its studies.

    `left_by` is the driver from which it was taken over, where one ended without clearing it.
    """

    def __init__(self, results: ResultsPaths, study: str, root: InUse, waiting: Waiting) -> None:
        self._results = results
        self._paths = results.study(study)
        self._root = root
        self._waiting = waiting
        self._file: LockFile | None = None
        self._lease: Lease | None = None
        self.left_by: Owner | None = None

    def hold(self) -> None:
        """Hold both from here on; the study's folder is made. Where both are held, make sure that
        they still are: a lease that was not renewed for long may be another driver's by now.

        Where this process may not write the study's folder nothing is held, and nothing written.

        Raises:
            StoreError: another driver works on the study, or came after this one; somebody deletes
                at this moment; or who works on it can't be known.
        """
        self._root.hold()
        make_folder(self._paths.root)
        self.hold_study()

    def check(self) -> None:
        """Nothing where the study is held, or was not yet.

        Raises:
            StoreError: it was held, and may be another driver's by now.
        """
        lease = self._lease  # it may be given back meanwhile, by another thread
        if lease is not None:
            lease.check()

    def hold_study(self) -> None:
        """Hold the study alone, whose folder is there; otherwise as `hold`."""
        self.check()
        if self._file is not None or self._lease is not None:
            return
        try:
            self._claim()
        except OSError as error:
            is_forbidden = error.errno in (errno.EACCES, errno.EROFS)
            if not is_forbidden or os.access(self._paths.root, os.W_OK):
                raise StoreError(self._unknown(error)) from error

    def close(self) -> None:
        """Give the study back; nothing in a child that was forked, whose parent still drives."""
        if self._lease is not None:
            with suppress(OSError):  # others find out by themselves
                self._lease.close()
            self._lease = None
        if self._file is not None and self._file.is_open:
            with suppress(OSError):  # the lock is given back all the same
                self._file.clear()
            self._file.close()
        self._file = None

    def _claim(self) -> None:
        if self._results.uri is not None or not is_leased(self._results):
            self._file = self._locked()
        try:
            if is_leased(self._results) or self._file is None:
                self._lease = self._leased()
        except BaseException:
            self.close()
            raise

    def _locked(self) -> LockFile | None:
        """This machine's lock; None where its file system has none."""
        file = LockFile(self._paths.driver_lock, writes=True)
        try:
            file.lock(shared=False)
        except NoLocksError:
            file.close()
            return None
        except BlockingIOError as error:
            owner = Owner.of_content(file.read())
            file.close()
            raise StoreError(self._refusal(owner)) from error
        except BaseException:
            file.close()
            raise
        self.left_by = Owner.of_content(file.read())
        with suppress(OSError):  # a full disk is no obstacle to a study that writes nothing
            file.write(Owner.of_this_process().content)
        return file

    def _leased(self) -> Lease:
        lease = Lease(driver_place(self._results, self._paths.root.name), self._waiting)
        try:
            lease.acquire()
        except LeaseHeldError as error:
            raise StoreError(self._refusal(error.owner)) from error
        self.left_by = lease.left_by
        mirror = mirror_of(self._results.root)
        if mirror is not None:  # another machine may have worked on it since it was looked at
            mirror.refresh(driving=self._paths.root.name)
        return lease

    def _refusal(self, owner: Owner | None) -> str:
        """Who holds it; the name of a dead one is still there where the holder has only come."""
        shown = shown_path(self._paths.root)
        if owner is None or owner.is_gone:
            found = "" if is_leased(self._results) else self._found_by
            return (
                f"another driver works on {shown} and has not said who it is; wait until it is "
                f"done{found}"
            )
        return (
            f"another driver works on {shown}: {owner}; wait until it is done, or end it there "
            f"with `kill {owner.pid}`, which keeps what it computed, and run again"
        )

    @property
    def _found_by(self) -> str:
        return f", or find it with `fuser {self._paths.driver_lock}`"

    def _unknown(self, error: OSError) -> str:
        if is_leased(self._results):
            return (
                f"who works on {shown_path(self._paths.root)} can't be known: "
                f"{error.strerror or error}; run again when its storage is there"
            )
        return (
            f"{self._paths.driver_lock} can't be locked: {error.strerror or error}; so whether "
            "another driver works on the study is not known; make the file yours, or delete it "
            "when no driver runs"
        )


def driver_place(paths: ResultsPaths, study: str) -> Place:
    """Where the lease on a study lies, where a lease decides who drives it."""
    return lease_place(paths, _DRIVES + study)


def begun_studies(paths: ResultsPaths) -> set[str]:
    """The names of studies that drivers came for, also where they left nothing else yet.

    Raises:
        StoreError: the storage can't be reached.
    """
    here = {path.parent.name for path in paths.root.glob("*/driver.lock")}
    if not is_leased(paths):
        return here
    try:
        leased = {name.removeprefix(_DRIVES) for name in lease_names(paths, _DRIVES)}
        return here | {name for name in leased if driver_place(paths, name).look()}
    except OSError as error:
        raise StoreError(
            f"{paths.shown} can't be read: {error.strerror or error}; try again when its storage "
            "is there"
        ) from error


def driver_says(paths: StudyPaths) -> bytes:
    """What whoever drives a study says of itself; nothing where nobody drives it.

    Raises:
        OSError: it can't be read.
    """
    results = ResultsPaths(paths.root.parent)
    if not is_leased(results) and paths.driver_lock.exists():
        plain_file_size(paths.driver_lock)  # of a pipe one would wait for the end
        with paths.driver_lock.open("rb") as file:
            if said := file.read(_MOST_READ_BYTES):
                return said
    return driver_place(results, paths.root.name).look()


@contextmanager
def driving(paths: ResultsPaths, study: str, waiting: Waiting = IMPATIENT) -> Iterator[DriverLock]:
    """Within the block no other driver works on the study, and nobody deletes below the root.

    Held from the start where the folders are there, else from `hold`: so a study that is refused
    before it computes anything makes no folder. It is to be called before anything is written.

    Raises:
        StoreError: as `DriverLock.hold` says.
    """
    with in_use(paths, waiting) as root, closing(DriverLock(paths, study, root, waiting)) as lock:
        if paths.study(study).root.is_dir():
            lock.hold_study()
        yield lock
