"""The copy of remote results on this machine: found by a path below it, kept in step name by name.

Visible here means visible there: what is written is uploaded before it appears in the mirror, what
is deleted goes there first. What a crash leaves between the two is mended by the next `refresh`,
which brings all documents: manifests, histories, seals, and what studies say of themselves. Bulk,
such as the files of artifacts, is brought by whoever needs it.

Who only reads (`results_at`) takes the mirror as it was refreshed. Who drives a study, and its
workers, ask for each thing that they lack, since others write meanwhile.
"""

import errno
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from phasetune.errors import StoreError
from phasetune.store.owner import Owner
from phasetune.store.remote import uploads
from phasetune.store.remote.comparing import (
    files_here,
    identity,
    is_due,
    is_of,
    is_outdated,
    stat_of,
    stays_here,
)
from phasetune.store.remote.listing import Listing
from phasetune.store.remote.names import (
    grows,
    is_bulk,
    is_of_artifact,
    is_of_this_machine,
    last_seals,
)
from phasetune.store.remote.objects import ObjectState, RemoteObjects
from phasetune.store.remote.opening import why_unreachable
from phasetune.store.remote.uris import joined

DRAFT, TRASH = ".draft-", ".trash-"  # as `store/durable.py` names them
ARRIVING = ".arriving"
DRIVER_LOCK = "driver.lock"
as_listed: ContextVar[bool] = ContextVar("as_listed", default=False)

T = TypeVar("T")


class Mirror:
    """A folder of this machine that stands for the results at a URI."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root = root
        self.uri = uri
        self.objects = RemoteObjects(uri)
        self.listing = Listing()
        self._is_known = False
        self._is_listed = False
        self._drives = False

    def name(self, path: Path) -> str:
        """The name of a path's object; empty for the root."""
        name = path.relative_to(self.root).as_posix()
        return "" if name == "." else name

    def shown(self, path: Path) -> str:
        """What people call a path: its place at the URI."""
        return joined(self.uri, self.name(path))

    @property
    def asks(self) -> bool:
        """Whether what is not here may be there: not where somebody reads what was refreshed."""
        return not as_listed.get() and (self._drives or not self._is_listed)

    def refresh(self, below: Path | None = None, *, driving: str | None = None) -> None:
        """Bring what documents there are, and forget here what is not there any more; of all
        results, or at or below one path.

        The documents of a study whose driver lives on this machine are its own, and stay as they
        are; but `driving` names one whose driver asks: from then on it asks for what it lacks.

        Raises:
            StoreError: the storage can't be reached.
        """
        self._drives = self._drives or driving is not None
        own = self._drivers().keys() - {driving}
        path = self.root if below is None else below
        here = files_here(self.root, path)  # first: whatever is visible here is there already
        there = self._states(path)
        due = [n for n, s in there.items() if not is_bulk(n) and is_due(n, s, here.get(n))]
        self._drop(n for n in here if is_outdated(n, here[n], there.get(n)) and not is_of(own, n))
        self._get({n: there[n] for n in due if not is_of(own, n)}, here)
        self._is_listed = self._is_listed or below is None

    def bring(self, path: Path) -> None:
        """Make a file, or a folder with all below it, what it is at the URI; gone where it is gone.

        Raises:
            StoreError: the storage can't be reached.
        """
        here = files_here(self.root, path)
        there = self._states(path)
        self._drop(n for n in here if n not in there and not stays_here(n))
        self._get({n: s for n, s in there.items() if is_due(n, s, here.get(n))}, here)

    def is_there(self, path: Path) -> bool:
        """Whether a file is at the URI.

        Raises:
            StoreError: the storage can't be reached.
        """
        return self._asked(lambda: self.objects.size(self.name(path))) is not None

    def folders(self, path: Path) -> list[str]:
        """The names of the folders directly in a folder at the URI.

        Raises:
            StoreError: the storage can't be reached.
        """
        return self._asked(lambda: self.objects.folders(self.name(path)))

    def sizes(self, path: Path) -> dict[str, int]:
        """The bytes of each object at or below a path, by its name, as when they were last looked
        at; asked for where none is known.

        Raises:
            StoreError: the storage can't be reached.
        """
        if not self.listing.at_or_below(self.name(path)):
            self._states(path)
        return self.listing.at_or_below(self.name(path))

    def held_bytes(self, path: Path) -> int:
        """What all objects at or below a path hold, as when they were last looked at.

        Raises:
            StoreError: the storage can't be reached.
        """
        if not self._is_known:
            self._states(self.root)
        return sum(self.listing.at_or_below(self.name(path)).values())

    def share(self, path: Path) -> None:
        """Upload a file as it is now; but no log over a longer one, which is newer.

        Raises:
            StoreError: the storage can't be reached.
        """
        name = self.name(path)
        if not is_of_this_machine(name) and not (grows(name) and self._is_longer_there(path)):
            self._asked(lambda: self.objects.put(path, name))
            self.listing.put(name, path.stat().st_size)

    def rename(self, source: Path, target: Path) -> None:
        """Do at the URI what the rename of `source` to `target` is about to do here.

        Raises:
            OSError: the storage can't be reached, or a folder with a manifest is there already.
        """
        try:
            self._rename(source, target)
        except FileExistsError:
            raise
        except OSError as error:
            raise OSError(self._unreachable(error)) from error

    def let_go(self) -> None:
        """Delete the copies of bulk here, to make room; not while a study is driven on this machine
        besides the one of this process, which knows that no run of its own needs them now.
        """
        others = (owner for owner in self._drivers().values() if owner.pid != os.getpid())
        if any(True for _ in others):
            return
        for name in files_here(self.root, self.root):
            if is_bulk(name) and not grows(name):
                self._drop([name])

    def check(self) -> None:
        """Whether the storage is there.

        Raises:
            StoreError: it can't be reached, or there is no such bucket; the way out is named.
        """
        self._asked(self.objects.check)

    def _is_longer_there(self, path: Path) -> bool:
        there = self._asked(lambda: self.objects.size(self.name(path)))
        return there is not None and there > path.stat().st_size

    def _rename(self, source: Path, target: Path) -> None:
        old, new = self.name(source), self.name(target)
        if target.name.startswith(TRASH):
            if uploads.delete(self.objects, old) and not source.exists():
                source.mkdir(parents=True)  # what was there alone has something to rename, too
        elif not source.name.startswith(DRAFT):
            self._note(uploads.move(self.objects, old, new))
        elif not is_of_this_machine(new):
            self._note(uploads.publish(self.objects, source, new))
        for gone in self.listing.at_or_below(old):
            self.listing.drop(gone)

    def _note(self, sizes: Mapping[str, int]) -> None:
        for name, size in sizes.items():
            self.listing.put(name, size)

    def _states(self, path: Path) -> dict[str, ObjectState]:
        name = self.name(path)
        one = self._asked(lambda: self.objects.state(name)) if path.suffix else None
        found = {name: one} if one else self._asked(lambda: self.objects.states(name))
        if not found and not path.suffix and name:
            one = self._asked(lambda: self.objects.state(name))
            found = {name: one} if one else {}
        shared = {n: state for n, state in found.items() if not is_of_this_machine(n)}
        self.listing.replace(name, {n: state.size for n, state in shared.items()})
        self._is_known = self._is_known or not name
        return shared

    def _drivers(self) -> dict[str | None, Owner]:
        """Who drives which study on this machine."""
        locks = self.root.glob(f"*/{DRIVER_LOCK}")
        owners = ((path.parent.name, Owner.of_content(_content(path))) for path in locks)
        return {name: found for name, found in owners if found is not None and not found.is_gone}

    def _drop(self, names: Iterable[str]) -> None:
        for name in reversed(last_seals(list(names))):  # what makes a folder whole goes first
            (self.root / name).unlink(missing_ok=True)
            self._prune((self.root / name).parent)

    def _prune(self, folder: Path) -> None:
        """An empty folder would be an artifact without a manifest, or a checkpoint without seal."""
        name = f"{self.name(folder)}/"
        while is_of_artifact(name) or "/checkpoint_" in name:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent
            name = f"{self.name(folder)}/"

    def _get(self, wanted: Mapping[str, ObjectState], here: Mapping[str, os.stat_result]) -> None:
        uploads.each(wanted, lambda name: self._get_one(name, wanted[name], here.get(name)))

    def _get_one(self, name: str, state: ObjectState, before: os.stat_result | None) -> None:
        target = self.root / name
        # not beside it: whoever compares a folder with its manifest meanwhile would find a draft
        draft = self.root / ARRIVING / uuid.uuid4().hex
        try:
            draft.parent.mkdir(exist_ok=True, mode=0o700)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.objects.get(name, draft)
            os.utime(draft, ns=(state.changed_ns, state.changed_ns))
            if identity(stat_of(target)) == identity(before):  # else newer: written meanwhile
                draft.replace(target)
        except FileNotFoundError:
            return  # it went between listing and getting
        except OSError as error:
            raise StoreError(self._unreachable(error)) from error
        finally:
            draft.unlink(missing_ok=True)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except OSError as error:
            raise StoreError(self._unreachable(error)) from error

    def _unreachable(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                f"{self.root}, the mirror of {self.uri}, can't be written: {error.strerror}; make "
                "room there, or name a folder on another disk by PHASETUNE_CACHE"
            )
        return f"the results at {self.uri} can't be reached: {why_unreachable(error)}"


def _content(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""
