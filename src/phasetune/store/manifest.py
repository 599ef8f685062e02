"""What a manifest must say to be one.

It may come from another machine or from somebody else's hands, so its names, types and sizes are
checked here, once; whoever reads an artifact relies on them.
"""

import math
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from phasetune.store.documents import document_digest, is_number, read_json
from phasetune.store.remote.mirror import mirror_of

MANIFEST = "manifest.json"
HISTORY = "history.json"
FILES = "files"
SCHEMA = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 62
RESOURCES = ("peak_memory_gib", "peak_gpu_memory_gib", "gpu_use_percent")

_AMOUNTS = ("duration_seconds", "spent_seconds", *RESOURCES)
_WORDS = ("study", "attempt", "host", "started")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest in an artifact's folder; None where there is none that says what it must."""
    try:
        content = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and _says_all(content) else None


def is_inside(name: Any, folder: str | None = None) -> bool:
    """Whether a name leads to something below a folder, and nowhere else."""
    if not isinstance(name, str) or "\0" in name:
        return False
    first, *rest = parts = name.split("/")
    is_plain = not {"", ".", ".."} & set(parts)
    return is_plain and (folder is None or (first == folder and bool(rest)))


def plain_size(folder: Path, name: str) -> int | None:
    """The bytes of a plain file that lies within the folder itself; None where there is none."""
    path = folder / name
    try:
        found = path.lstat()
        is_within = not any(outer.is_symlink() for outer in path.parents[: name.count("/")])
    except OSError:
        return None
    return found.st_size if is_within and stat.S_ISREG(found.st_mode) else None


def published_sizes(folder: Path, names: Iterable[str]) -> dict[str, int | None]:
    """`plain_size` of each file of an artifact; at a URI as it is there, and nothing is brought.

    Raises:
        StoreError: the URI can't be reached.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        return {name: plain_size(folder, name) for name in names}
    objects = {name: mirror.name(folder / name) for name in names}
    there = mirror.sizes(folder)
    if not set(objects.values()) <= set(there):  # it was looked at while it was being published
        mirror.refresh(folder)
        there = mirror.sizes(folder)
    return {name: there.get(one) for name, one in objects.items()}


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with a digest of all that it says, so that no flipped bit is believed."""
    said = {name: value for name, value in content.items() if name != "digest"}
    return {**said, "digest": document_digest(said)}


def _says_all(content: Mapping[str, Any]) -> bool:
    return (
        content.get("schema") == SCHEMA
        and content == with_digest(content)
        and _all_numbers(content.get("metrics"))
        and _are_files(content.get("files"))
        and isinstance(content.get("environment"), dict)
        and _tells_provenance(content.get("provenance"))
        and _tells_run(content.get("run", {}))
    )


def _all_numbers(metrics: Any) -> bool:
    return isinstance(metrics, dict) and all(is_number(value) for value in metrics.values())


def _are_files(files: Any) -> bool:
    if not isinstance(files, dict):
        return False
    names = [name for name in files if name != HISTORY]
    return all(is_inside(name, FILES) for name in names) and all(map(_is_file, files.values()))


def _is_file(described: Any) -> bool:
    return (
        isinstance(described, dict)
        and type(described.get("size")) is int
        and 0 <= described["size"] < _MOST_BYTES
        and isinstance(described.get("sha256"), str)
        and _SHA256.fullmatch(described["sha256"]) is not None
    )


def _tells_provenance(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and "duration_seconds" in found
        and all(_is_amount(found[name]) for name in _AMOUNTS if name in found)
        and all(isinstance(found[name], str) for name in _WORDS if name in found)
        and isinstance(found.get("is_exact", True), bool)
        and _are_texts(found.get("notes", []))
    )


def _is_amount(value: Any) -> bool:
    return is_number(value) and not isinstance(value, str) and 0 <= value < math.inf


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _tells_run(run: Any) -> bool:
    exports = run.get("exports", []) if isinstance(run, dict) else ".."
    return isinstance(exports, list) and all(is_inside(name) for name in exports)
