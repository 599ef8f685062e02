"""The copy of remote results on this machine: found by a path below it, kept in step name by name.

Visible here means visible there: what is written is uploaded before it appears in the mirror, what
is deleted goes there first.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from phasetune.errors import StoreError
from phasetune.store.machine_folder import machine_folder
from phasetune.store.remote.names import is_bulk, is_of_this_machine, is_seal, last_seals
from phasetune.store.remote.objects import RemoteObjects

_MARKER = ".mirror.json"
_AT_ONCE = 8
_MANIFEST = "manifest.json"
_DRAFT, _TRASH = ".draft-", ".trash-"  # as `store/durable.py` names them

T = TypeVar("T")
_known: dict[Path, "Mirror"] = {}


class Mirror:
    """A folder of this machine that stands for the results at a URI."""

    def __init__(self, root: Path, uri: str) -> None:
        self.root = root
        self.uri = uri
        self.objects = RemoteObjects(uri)

    def name(self, path: Path) -> str:
        """The name of a path's object."""
        return path.relative_to(self.root).as_posix()

    def refresh(self) -> None:
        """Bring what documents there are, and forget here what is not there any more.

        Raises:
            StoreError: the storage can't be reached.
        """
        here = self._sizes_here(self.root)  # first: whatever is visible here is there already
        there = self._asked(lambda: self.objects.sizes())
        for name in here:
            if name not in there and not is_of_this_machine(name):
                (self.root / name).unlink(missing_ok=True)
        self._get(name for name, size in there.items() if _is_due(name, size, here))

    def bring(self, path: Path) -> None:
        """Make a file, or a folder with all below it, what it is at the URI; gone where it is gone.

        Raises:
            StoreError: the storage can't be reached.
        """
        name, here = self.name(path), self._sizes_here(path)
        there = self._asked(lambda: self.objects.sizes(name))
        size = None if there else self._asked(lambda: self.objects.size(name))
        if size is not None:
            there = {name: size}
        for known in set(here) - set(there):
            if not is_of_this_machine(known):
                (self.root / known).unlink(missing_ok=True)
        self._get(n for n, s in there.items() if here.get(n) != s and not is_of_this_machine(n))

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

    def share(self, path: Path) -> None:
        """Upload a file as it is now, such as a log that grows.

        Raises:
            StoreError: the storage can't be reached.
        """
        if not is_of_this_machine(self.name(path)):
            self._asked(lambda: self.objects.put(path, self.name(path)))

    def rename(self, source: Path, target: Path) -> None:
        """Do at the URI what the rename of `source` to `target` is about to do here.

        Raises:
            OSError: the storage can't be reached, or a folder with a manifest is there already.
        """
        if target.name.startswith(_TRASH):
            self._delete(self.name(source))
        elif source.name.startswith(_DRAFT):
            self._publish(source, self.name(target))
        else:
            self._move(self.name(source), self.name(target))

    def _publish(self, draft: Path, name: str) -> None:
        if is_of_this_machine(name):
            return
        if draft.is_file():
            self.objects.put(draft, name)
            return
        if self.objects.size(f"{name}/{_MANIFEST}") is not None:
            raise FileExistsError(f"{self.uri}/{name} is published already")
        files = {p.relative_to(draft).as_posix(): p for p in draft.rglob("*") if p.is_file()}
        for left in set(self.objects.sizes(name)) - {f"{name}/{file}" for file in files}:
            self.objects.delete(left)
        self._each(files, lambda file: self.objects.put(files[file], f"{name}/{file}"))

    def _move(self, source: str, target: str) -> None:
        names = list(self.objects.sizes(source)) or [source]
        moved = {name: target + name.removeprefix(source) for name in names}
        self._each(names, lambda name: self.objects.copy(name, moved[name]))
        self._delete(source)

    def _delete(self, name: str) -> None:
        names = list(self.objects.sizes(name)) or [name]
        for one in reversed(last_seals(names)):  # what makes it whole goes first
            self.objects.delete(one)

    def _each(self, names: Iterable[str], do: Callable[[str], None]) -> None:
        """Several at once; what makes a folder whole comes after all others."""
        ordered = last_seals(list(names))
        whole = [name for name in ordered if is_seal(name)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(do, [name for name in ordered if not is_seal(name)]):
                pass
        for name in whole:
            do(name)

    def _sizes_here(self, path: Path) -> dict[str, int]:
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        found = {}
        for file in files:
            with suppress(OSError):
                found[self.name(file)] = file.stat().st_size
        return found

    def _get(self, names: Iterable[str]) -> None:
        self._each(names, self._get_one)

    def _get_one(self, name: str) -> None:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.parent / f".draft-{uuid.uuid4().hex[:12]}"
        try:
            self._asked(lambda: self.objects.get(name, draft))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except OSError as error:
            raise StoreError(f"the results at {self.uri} can't be reached: {error}") from error


def _is_due(name: str, size: int, here: dict[str, int]) -> bool:
    """Artifacts never change; documents may without changing their size."""
    if is_bulk(name) or is_of_this_machine(name):
        return False
    return not name.startswith("store/") or here.get(name) != size


def open_mirror(uri: str) -> Mirror:
    """The mirror of the results at a URI, whose folder is made; nothing is brought yet.

    Raises:
        StoreError: pyarrow can't open the URI, or what it names can't be reached.
    """
    uri = uri.rstrip("/")
    root = _mirrors() / hashlib.sha256(uri.encode()).hexdigest()[:16]
    mirror = Mirror(root, uri)
    if not (root / _MARKER).exists():
        mirror.folders(root)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        (root / _MARKER).write_text(json.dumps({"uri": uri}))
    return mirror


def mirror_of(path: Path) -> Mirror | None:
    """The mirror that a path lies in; None for a plain folder. Asks nobody."""
    mirrors = _mirrors()
    if not path.is_relative_to(mirrors) or path == mirrors:
        return None
    root = mirrors / path.relative_to(mirrors).parts[0]
    if root not in _known:
        with suppress(OSError, ValueError, KeyError):
            _known[root] = Mirror(root, json.loads((root / _MARKER).read_text())["uri"])
    return _known.get(root)


def bring(path: Path) -> None:
    """Before a path is read that another machine may have written: `Mirror.bring`, or nothing."""
    mirror = mirror_of(path)
    if mirror is not None:
        mirror.bring(path)


def is_there(path: Path) -> bool:
    """Whether a file that another machine may have written is there."""
    mirror = mirror_of(path)
    return path.exists() if mirror is None else mirror.is_there(path)


def _mirrors() -> Path:
    return machine_folder() / "mirrors"
