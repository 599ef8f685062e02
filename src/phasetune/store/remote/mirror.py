"""From paths and URIs to mirrors; what everybody asks who reads what other machines may write.

For a plain folder each of these functions is nothing at all.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.machine_folder import CACHE, machine_folder
from phasetune.store.remote.mirror_folder import DRAFT, as_listed
from phasetune.store.remote.mirror_folder import Mirror as Mirror
from phasetune.store.remote.uris import checked_uri

_MARKER = ".mirror.json"
_MIRRORS = "mirrors"
_NAMED_BY = (CACHE, "XDG_CACHE_HOME", "HOME")
_known: dict[Path, Mirror] = {}


def open_mirror(uri: str) -> Mirror:
    """The mirror of the results at a URI, whose folder is made; nothing is brought yet.

    Raises:
        StoreError: pyarrow can't open the URI, or what it names can't be reached; or this machine
            has no folder for mirrors.
    """
    uri = checked_uri(uri)
    root = (machine_folder() / _MIRRORS) / hashlib.sha256(uri.encode()).hexdigest()[:16]
    mirror = _known.get(root) or Mirror(root, uri)
    if not (root / _MARKER).exists():
        mirror.check()
        _mark(root, uri)
    return _known.setdefault(root, mirror)


def mirror_of(path: Path) -> Mirror | None:
    """The mirror that a path lies in; None for a plain folder. Asks nobody.

    Raises:
        StoreError: it lies where a mirror was whose marker is gone.
    """
    mirrors, text = _mirrors(), str(path)
    if mirrors is None or not text.startswith(mirrors):
        return None
    root = Path(mirrors, text[len(mirrors) :].partition("/")[0])
    if root not in _known:
        _known[root] = _marked(root)
    return _known[root]


def shown_path(path: Path) -> str:
    """What people call a path: in the mirror of results at a URI, its place there."""
    mirror = mirror_of(path)
    return str(path) if mirror is None else mirror.shown(path)


def away(path: Path) -> str:
    """What people can do with a damaged file before they run again; a copy here would come back."""
    return "move it away" if mirror_of(path) is None else "delete it there"


def bring(path: Path) -> None:
    """Before a path is read that another machine may have written: `Mirror.bring`, or nothing."""
    mirror = mirror_of(path)
    if mirror is not None:
        mirror.bring(path)


def bring_news(path: Path) -> None:
    """`bring`, but nothing for who reads results as they were refreshed."""
    mirror = mirror_of(path)
    if mirror is not None and mirror.asks:
        mirror.bring(path)


def bring_documents(path: Path) -> None:
    """`bring_news`, but of documents alone, without the bulk that they tell of."""
    mirror = mirror_of(path)
    if mirror is not None and mirror.asks:
        mirror.refresh(path)


def folder_names(path: Path) -> set[str]:
    """The names of the folders directly in a folder, which need not be there."""
    mirror = mirror_of(path)
    here = [found.name for found in path.iterdir() if found.is_dir()] if path.is_dir() else []
    if mirror is None:
        return set(here)
    if mirror.asks:
        return {*here, *mirror.folders(path)}
    known = mirror.listing.folders_like(f"{mirror.name(path)}/*")
    return {*here, *(name.rpartition("/")[2] for name in known)}


def is_there(path: Path) -> bool:
    """Whether a file that another machine may have written is there."""
    mirror = mirror_of(path)
    return path.exists() if mirror is None else mirror.is_there(path)


def folders_like(root: Path, pattern: str) -> Iterator[Path]:
    """`root.glob(pattern)` for folders, with those that are only at the URI."""
    mirror, found = mirror_of(root), set(root.glob(pattern))
    if mirror is not None:
        name = mirror.name(root)
        whole = f"{name}/{pattern}" if name else pattern
        found |= {mirror.root / folder for folder in mirror.listing.folders_like(whole)}
    yield from sorted(path for path in found if not path.is_file())


@contextmanager
def refreshed(path: Path) -> Iterator[None]:
    """Within the block what is here at or below a path is what there is: one look, instead of one
    for each thing that is missing.
    """
    mirror = mirror_of(path)
    if mirror is None or not mirror.asks:
        yield
        return
    mirror.refresh(path)
    token = as_listed.set(True)
    try:
        yield
    finally:
        as_listed.reset(token)


def _mark(root: Path, uri: str) -> None:
    draft = root / f"{DRAFT}{uuid.uuid4().hex[:12]}"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps({"uri": uri}))
        draft.replace(root / _MARKER)
    except OSError as error:
        raise StoreError(
            f"{root}, the mirror of {uri}, can't be made: {error.strerror}; name a folder of this "
            "machine that you can write by PHASETUNE_CACHE"
        ) from error


def _marked(root: Path) -> Mirror:
    try:
        return Mirror(root, str(json.loads((root / _MARKER).read_text())["uri"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{root} is no mirror of results any more, since its {_MARKER} can't be read; delete "
            "it and run again: all that it held is at the URI"
        ) from error


def _mirrors() -> str | None:
    return _mirrors_of(*map(os.environ.get, _NAMED_BY))


@cache
def _mirrors_of(*_named: str | None) -> str | None:
    """What the path of each mirror begins with; None where this machine has no folder for them, and
    so none. Remembered by what names it, since it is asked for with each path of a plain folder
    too.
    """
    with suppress(StoreError):
        return f"{machine_folder() / _MIRRORS}/"
    return None
