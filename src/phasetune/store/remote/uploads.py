"""Folders at a URI, written, moved and deleted object by object so that none is ever half there.

A folder counts once its manifest or seal is there. So that comes last where a folder is written,
and goes first where one is deleted; what a crash leaves between the two counts for nobody.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from phasetune.store.remote.names import is_seal, last_seals
from phasetune.store.remote.objects import RemoteObjects

_AT_ONCE = 8
_MANIFEST = "manifest.json"


def publish(objects: RemoteObjects, draft: Path, name: str) -> dict[str, int]:
    """Upload a file, or a folder, of which the first that got a manifest stays; returns the bytes
    of each object.

    Raises:
        FileExistsError: there is one with a manifest.
        OSError: the storage can't be reached, or refuses.
    """
    if draft.is_file():
        objects.put(draft, name)
        return {name: draft.stat().st_size}
    files = {
        f"{name}/{path.relative_to(draft).as_posix()}": path
        for path in draft.rglob("*")
        if path.is_file()
    }
    left = objects.sizes(name)  # of somebody who was killed before the manifest
    _refuse_published(objects, name, is_there=f"{name}/{_MANIFEST}" in left)
    for torn in left.keys() - files.keys():
        objects.delete(torn)
    each([file for file in files if not is_seal(file)], lambda file: objects.put(files[file], file))
    _refuse_published(objects, name, is_there=objects.size(f"{name}/{_MANIFEST}") is not None)
    for file in filter(is_seal, files):
        objects.put(files[file], file)
    return {file: path.stat().st_size for file, path in files.items()}


def _refuse_published(objects: RemoteObjects, name: str, *, is_there: bool) -> None:
    if is_there:
        raise FileExistsError(f"{name} is published at {objects.uri} already")


def move(objects: RemoteObjects, source: str, target: str) -> dict[str, int]:
    """Copy all there, then delete it here; returns the bytes of each object of the target.

    Raises:
        OSError: the storage can't be reached, or refuses.
    """
    found = objects.sizes(source)
    if not found and (size := objects.size(source)) is not None:
        found = {source: size}
    moved = {name: target + name.removeprefix(source) for name in found}
    each(found, lambda name: objects.copy(name, moved[name]))
    if found:
        delete(objects, source)
    return {moved[name]: size for name, size in found.items()}


def delete(objects: RemoteObjects, name: str) -> bool:
    """Delete an object, or a folder with all below it; whether there was anything.

    Raises:
        OSError: the storage can't be reached, or refuses.
    """
    found = objects.sizes(name)
    for seal in filter(is_seal, found):
        objects.delete(seal)
    if found:
        objects.delete_folder(name)
        return True
    is_there = objects.size(name) is not None
    if is_there:
        objects.delete(name)
    return is_there


def each(names: Iterable[str], do: Callable[[str], object]) -> None:
    """Several at once; what makes a folder whole comes after all others.

    Raises:
        OSError: one of them failed; what was not begun until then is not.
    """
    ordered = last_seals(list(names))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(do, [name for name in ordered if not is_seal(name)]):
            pass
    for name in filter(is_seal, ordered):
        do(name)
