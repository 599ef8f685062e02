"""The disks of a study: room for its results, and for temporary files."""

import os
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.run.budget import LEAST_FREE_SHARE, LEAST_NEED_BYTES
from phasetune.run.doctor.part import Part, together
from phasetune.store.paths import results_at
from phasetune.store.remote.mirror import Mirror, open_mirror
from phasetune.store.remote.uris import as_given, is_uri
from phasetune.store.space import disk_free, size_text


def disk_part(results: str | Path) -> Part:
    """The disks that hold, or would hold, the results and temporary files."""
    return together([("results", _results_part(results)), ("temporary", _temporary_part())])


def _results_part(results: str | Path) -> Part:
    typed = as_given(results)
    if is_uri(typed):
        return _remote_part(typed)
    try:
        root = results_at(results).root
    except (StoreError, OSError) as error:
        return Part(facts={"path": str(results)}, problems=(str(error),))
    return _room_part(root, use="results", way_out="name another with --results")


def _remote_part(uri: str) -> Part:
    """Whether results at a URI can be written and read, and the disk that holds their mirror."""
    try:
        mirror = open_mirror(uri)
        _try_out(mirror)
    except StoreError as error:
        return Part(facts={"path": uri}, problems=(str(error),))
    way_out = "put the mirror on another disk by PHASETUNE_CACHE"
    room = _room_part(mirror.root, use="mirror of the results", way_out=way_out)
    return replace(room, facts={**room.facts, "uri": mirror.uri})


def _try_out(mirror: Mirror) -> None:
    """Write, read and delete an object that nobody looks at."""
    name = f".doctor-{uuid.uuid4().hex}"
    try:
        mirror.objects.write(name, b"written")
        found = mirror.objects.read(name)
        mirror.objects.delete(name)
    except OSError as error:
        raise StoreError(
            f"{mirror.uri} (results) can be read, but not written: {error}; ask for the right to "
            "put and delete objects there, or name another with --results"
        ) from error
    if found != b"written":
        raise StoreError(f"{mirror.uri} (results) gives back something else than was written there")


def _temporary_part() -> Part:
    try:
        folder = Path(tempfile.gettempdir())
    except OSError:
        sentence = "no folder for temporary files can be written to; name one by TMPDIR"
        return Part(facts={"path": None}, problems=(sentence,))
    return _room_part(folder, use="temporary files", way_out="name another by TMPDIR")


def _room_part(folder: Path, *, use: str, way_out: str) -> Part:
    try:
        space = disk_free(folder)
        is_writable = os.access(_first_there(folder), os.W_OK | os.X_OK)
    except OSError as error:
        sentence = f"{folder} ({use}) can't be looked at ({error.strerror}); {way_out}"
        return Part(facts={"path": str(folder)}, problems=(sentence,))
    mark = int(space.total * LEAST_FREE_SHARE)
    facts = {
        "path": str(folder),
        "total_bytes": space.total,
        "free_bytes": space.free,
        "pruned_harder_below_bytes": mark,
    }
    free = f"{folder} ({use}): {size_text(space.free)} of {size_text(space.total)} are free"
    if not is_writable:
        sentence = f"{folder} ({use}) can't be written to; change its rights, or {way_out}"
        return Part(facts=facts, problems=(sentence,))
    if space.free < LEAST_NEED_BYTES:
        least = f"the {size_text(LEAST_NEED_BYTES)} that runs need at least"
        sentence = f"{free}, less than {least}; remove something, or {way_out}"
        return Part(facts=facts, problems=(sentence,))
    if space.free < mark:
        effect = f"less than {LEAST_FREE_SHARE:.0%}, so that checkpoints are pruned harder"
        return Part(facts=facts, warnings=(f"{free}, {effect}; remove something, or {way_out}",))
    return Part(facts=facts)


def _first_there(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
