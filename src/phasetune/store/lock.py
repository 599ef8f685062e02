"""Who works below a results root: studies share it, whoever deletes has it alone.

On a disk of this machine the lock of the operating system decides, on storage that machines share
leases do: whoever works there has one of its own, whoever deletes has the one for that, and each
looks at those of the other kind once it has its own, so of both at most one goes on.
"""

import errno
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from typing import Self

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.file_systems import network_file_system
from phasetune.store.lease import (
    IMPATIENT,
    Lease,
    LeaseHeldError,
    Waiting,
    nobody_asks,
    refuse_living,
)
from phasetune.store.lease_places import Place, lease_place, lease_places
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.mirror import mirror_of

_USES, _DELETES = "uses-", "deletes"


class InUse:
    """Shared use of a results root; held from the start where there is a store, else from `hold`.

    So a study that is refused before it computes anything makes no folder.
    """

    def __init__(self, paths: ResultsPaths, waiting: Waiting) -> None:
        self._paths = paths
        self._waiting = waiting
        self._file: LockFile | None = None
        self._lease: tuple[Lease, Place] | None = None

    def __enter__(self) -> Self:
        if self._paths.store.is_dir():
            self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lease is not None:
            _give_back(*self._lease)
            self._lease = None

    def hold(self) -> None:
        """Hold it from here on.

        Where nothing can be written, nothing is held: then `exclusively` refuses too.

        Raises:
            StoreError: somebody deletes at this moment, or it was held and is lost.
        """
        if self._lease is not None:
            self._lease[0].check()
        if self._file is not None or self._lease is not None:
            return
        for folder in (self._paths.store, self._paths.digests.parent):
            make_folder(folder)
        try:
            self._file = _locked(self._paths, shared=True)
            if is_leased(self._paths) or self._file is None:
                self._lease = self._leased()
        except (BlockingIOError, LeaseHeldError) as error:
            self.__exit__()
            raise StoreError(_deletes(self._paths)) from error
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS):
                self.__exit__()
                raise StoreError(_unusable(self._paths, error)) from error

    def _leased(self) -> tuple[Lease, Place]:
        place = lease_place(self._paths, _USES + uuid.uuid4().hex[:12])
        lease = Lease(place, replace(self._waiting, on_lost=nobody_asks))
        lease.acquire()
        try:
            refuse_living([lease_place(self._paths, _DELETES)], self._waiting)
        except BaseException:
            _give_back(lease, place)
            raise
        return lease, place


def in_use(paths: ResultsPaths, waiting: Waiting = IMPATIENT) -> InUse:
    """A context in which a study runs below a results root."""
    return InUse(paths, waiting)


def is_leased(paths: ResultsPaths) -> bool:
    """Whether leases decide who works there: on network file systems and at URIs."""
    return paths.uri is not None or network_file_system(paths.root) is not None


@contextmanager
def exclusively(paths: ResultsPaths, waiting: Waiting = IMPATIENT) -> Iterator[Callable[[], None]]:
    """Within the block no study runs below the results root, of which all is known here that was
    written until then. What it gives is to be called before each thing that is deleted: it raises
    StoreError where a study may run again, because this process was paused or cut off for long.

    Raises:
        StoreError: it is no results root, one runs, or that can't be known.
    """
    if not paths.exists:
        raise StoreError(
            f"{paths.shown} holds no study; name a results root, as `phasetune run` made"
        )
    make_folder(paths.store)
    check = nobody_asks
    with ExitStack() as held:
        try:
            file = _locked(paths, shared=False)
            if file is not None:
                held.enter_context(closing(file))
            if is_leased(paths) or file is None:
                check = _leased_alone(paths, waiting, held).check
        except (BlockingIOError, LeaseHeldError) as error:
            raise StoreError(_is_used(paths, error)) from error
        except OSError as error:
            raise StoreError(_unusable(paths, error)) from error
        yield check


def _leased_alone(paths: ResultsPaths, waiting: Waiting, held: ExitStack) -> Lease:
    """Have the lease of whoever deletes, and clear those that dead studies left."""
    lease = Lease(lease_place(paths, _DELETES), waiting)
    lease.acquire()
    held.callback(_close, lease)
    uses = lease_places(paths, _USES)
    refuse_living(uses, waiting)
    for place in uses:
        place.withdraw()
    mirror = mirror_of(paths.root)
    if mirror is not None:  # a study may have ended since it was looked at
        mirror.refresh()
    return lease


def _give_back(lease: Lease, place: Place) -> None:
    if _close(lease):
        with suppress(OSError):
            place.withdraw()


def _close(lease: Lease) -> bool:
    """Give a lease back as far as the storage lets; others take it over else. Whether it is."""
    with suppress(OSError):
        return lease.close()
    return False


def _locked(paths: ResultsPaths, *, shared: bool) -> LockFile | None:
    """The root's file, locked; None where leases alone decide. For sole use it is opened for
    writing, without which some file systems give none.
    """
    if is_leased(paths) and paths.uri is None:
        return None
    file = LockFile(paths.lock, writes=not shared)
    try:
        file.lock(shared=shared)
    except NoLocksError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file


def _deletes(paths: ResultsPaths) -> str:
    return f"`phasetune gc` works on {paths.shown} at this moment; run again when it is done"


def _is_used(paths: ResultsPaths, error: Exception) -> str:
    owner = error.owner if isinstance(error, LeaseHeldError) else None
    who = "" if owner is None else f" ({owner})"
    return f"a study runs below {paths.shown} at this moment{who}; try again when it is done"


def _unusable(paths: ResultsPaths, error: OSError) -> str:
    reason = error.strerror or error
    if is_leased(paths):
        return f"{paths.shown} can't be leased: {reason}; try again when its storage is there"
    return f"{paths.lock} can't be locked: {reason}; keep results on another disk"
