"""Checkpoints that a run kept beside its artifact, as their `meta.json` tells; no torch is needed.

checkpoints/<name>/state.pt   the state of training
checkpoints/<name>/meta.json  epoch, metrics, parameters, digest and size of the state
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.documents import numbers, read_document

STATE = "state.pt"
META = "meta.json"


@dataclass(frozen=True, kw_only=True)
class KeptCheckpoint:
    """A kept checkpoint; `size_bytes` is that of its state."""

    name: str
    path: Path
    epoch: int
    metrics: Mapping[str, float]
    size_bytes: int


def kept_checkpoints(folder: Path) -> list[KeptCheckpoint]:
    """The checkpoints in a folder, by epoch and name; what has no readable `meta.json` is none."""
    metas = ((path.parent, _meta(path)) for path in folder.glob(f"[!.]*/{META}"))
    found = [_checkpoint(path, meta) for path, meta in metas if meta is not None]
    whole = [checkpoint for checkpoint in found if checkpoint is not None]
    return sorted(whole, key=lambda checkpoint: (checkpoint.epoch, checkpoint.name))


def _meta(path: Path) -> dict[str, Any] | None:
    try:
        return read_document(path)
    except StoreError:
        return None


def _checkpoint(path: Path, meta: Mapping[str, Any]) -> KeptCheckpoint | None:
    try:
        return KeptCheckpoint(
            name=path.name,
            path=path,
            epoch=int(meta["epoch"]),
            metrics=numbers(meta["metrics"]),
            size_bytes=int(meta["size"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
