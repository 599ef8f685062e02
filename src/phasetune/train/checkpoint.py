"""The state of training on disk: `state.pt`, and beside it `meta.json`, which says what it is.

The state loads without unpickling code, and only after its digest was compared with the one in
`meta.json`. Kept checkpoints are folders named for people, such as `epoch010_val_loss0.3456`; the
moment of saving is in `meta.json`, since names must not depend on the clock.
"""

import hashlib
import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from phasetune.errors import StoreError
from phasetune.store.documents import document_text, plain_file_size, read_document, write_document
from phasetune.store.durable import discard, replacing
from phasetune.store.kept import META, STATE, KeptCheckpoint, kept_checkpoints
from phasetune.store.provenance import git_state, software

SCHEMA = 1
_LARGEST_WRITTEN_OUT = 1e9  # a file's name has 255 characters, a number up to 309 digits
_ARCHIVE = b"PK\x03\x04"
_GROWING = re.compile(rb"c(?:builtins|__builtin__)\nbytearray\n")  # makes zeros of any number
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A state that verified, and what `meta.json` says of it."""

    state: dict[str, Any]
    meta: Mapping[str, Any]


def checkpoint_name(epoch: int, metric: str, value: float | None) -> str:
    """Such as `epoch010_val_loss0.3456`; without the metric where there is no number."""
    if value is None or not math.isfinite(value):
        return f"epoch{epoch:03d}"
    number = f"{value:.4f}" if abs(value) < _LARGEST_WRITTEN_OUT else f"{value:.4e}"
    return f"epoch{epoch:03d}_{_UNSAFE.sub('_', metric)}{number}"


def save_checkpoint(
    folder: Path,
    state: Mapping[str, Any],
    *,
    epoch: int,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    watch: str = "val_loss",
) -> Path:
    """Save a checkpoint below a folder, whole or not at all; one of the same name is replaced.

    Returns:
        Its folder, named by its epoch and its metric `watch`.

    Raises:
        StoreError: the disk is full or the folder can't be written.
    """
    target = folder / checkpoint_name(epoch, watch, metrics.get(watch))
    if target.exists():
        discard(target)
    with replacing(target) as draft:
        draft.mkdir()
        write_state(draft, state, epoch=epoch, metrics=metrics, parameters=parameters)
    return target


def write_state(
    folder: Path,
    state: Mapping[str, Any],
    *,
    epoch: int,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
) -> None:
    """Write a state and its `meta.json` straight into a folder.

    Raises:
        OSError: the disk is full or the folder can't be written.
    """
    path, git = folder / STATE, _git()  # asked before: a file that is new makes a work tree dirty
    _save(state, path)
    meta = {
        "schema": SCHEMA,
        "epoch": epoch,
        "metrics": dict(metrics),
        "parameters": dict(parameters),
        "git": git,
        "versions": software(),
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": path.stat().st_size,
        "sha256": _sha256(path),
    }
    (folder / META).write_text(document_text(meta))


def _save(state: Mapping[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(dict(state), file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch speaks of positions in the file
                raise error.__context__ from None
            raise


def tell_why_kept(checkpoint: Path, reasons: tuple[str, ...]) -> None:
    """Write into `meta.json` why a checkpoint is kept, for those who list them."""
    meta = read_document(checkpoint / META) or {}
    write_document(checkpoint / META, {**meta, "kept_as": list(reasons)})


def read_state(folder: Path, *, map_location: Any = "cpu") -> dict[str, Any]:
    """The state in a folder.

    Raises:
        StoreError: as for `load_checkpoint`.
    """
    return load_checkpoint(folder, map_location=map_location).state


def load_checkpoint(folder: Path, *, map_location: Any = "cpu") -> LoadedCheckpoint:
    """Load a checkpoint whose state is what was saved.

    Raises:
        StoreError: it is not there, is damaged, or is no state that loads without running code.
    """
    meta = read_document(folder / META)
    if meta is None or meta.get("schema") != SCHEMA:
        schema = None if meta is None else meta.get("schema")
        raise StoreError(f"{folder / META} must be of schema {SCHEMA}, but is of {schema!s:.20}")
    path = folder / STATE
    _refuse_other(path, digest=meta.get("sha256"))
    return LoadedCheckpoint(state=_loaded(path, map_location), meta=meta)


def _refuse_other(path: Path, *, digest: object) -> None:
    try:
        plain_file_size(path)
        found = _sha256(path)
        with path.open("rb") as file:
            begin = file.read(len(_ARCHIVE))
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    if found != digest:
        raise StoreError(f"{path} is not what was saved: its digest is {found}")
    if begin != _ARCHIVE:  # torch's old format believes any size that a file claims
        raise StoreError(f"{path} must be an archive, as torch.save writes it")


def _loaded(path: Path, map_location: Any) -> dict[str, Any]:
    _refuse_expanding(path)
    try:
        state = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own text advises to run what is in there
        raise StoreError(f"{path} holds more than tensors and plain values; not loaded") from error
    except Exception as error:  # whatever unpacking raises on forged bytes
        raise StoreError(f"{path} can't be loaded: {_first_line(error)}") from error
    if not isinstance(state, dict):
        raise StoreError(f"{path} must hold a mapping, but holds a {type(state).__name__}")
    return state


def _refuse_expanding(path: Path) -> None:
    """Refuse what takes more memory than its file has bytes; torch itself never writes such."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            is_packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            held = sum(member.file_size for member in members)
            if is_packed or held > path.stat().st_size:
                raise StoreError(f"{path} declares more than it holds; it is forged or damaged")
            pickles = [member for member in members if member.filename.endswith(".pkl")]
            is_growing = any(_GROWING.search(archive.read(member)) for member in pickles)
    except StoreError:
        raise
    except Exception as error:  # whatever a forged directory makes of it
        raise StoreError(f"{path} can't be loaded: {_first_line(error)}") from error
    if is_growing:
        raise StoreError(f"{path} holds more than tensors and plain values; not loaded")


def checkpoints_in(folder: Path) -> list[KeptCheckpoint]:
    """The checkpoints below a folder, by epoch."""
    return kept_checkpoints(folder)


def newest_checkpoint(folder: Path, *, map_location: Any = "cpu") -> LoadedCheckpoint | None:
    """The newest checkpoint below a folder that is valid; None where there is none.

    Damaged ones are passed over with a warning that names them and what is used instead.
    """
    listed = checkpoints_in(folder)
    faults = _without_meta(folder, listed)
    newest = None
    for checkpoint in reversed(listed):
        try:
            newest = load_checkpoint(checkpoint.path, map_location=map_location)
        except StoreError as error:
            faults.append(str(error))
        else:
            break
    if faults:
        used = "nothing is left" if newest is None else f"{checkpoint.path} is used"
        warnings.warn(f"{'; '.join(faults)}; {used}", stacklevel=2)
    return newest


def _without_meta(folder: Path, listed: Sequence[KeptCheckpoint]) -> list[str]:
    known = {checkpoint.path for checkpoint in listed}
    found = sorted(path.parent for path in folder.glob(f"[!.]*/{STATE}"))
    return [f"{path} has no readable {META}" for path in found if path not in known]


@cache
def _git() -> dict[str, Any] | None:
    """Of the working directory as the process first saved; asked once, since it takes a moment."""
    return git_state(Path.cwd())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
