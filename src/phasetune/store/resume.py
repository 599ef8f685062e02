"""What attempts left of runs to go on from: resume checkpoints, read by their seals.

A seal names the run, or the trunk, that a checkpoint is of. Listing trusts it: the files are hashed
by whoever goes on from a checkpoint, or deletes what would be the next best.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.store.artifacts import ArtifactStore
from phasetune.store.digests import file_digest
from phasetune.store.documents import numbers, read_json, steps
from phasetune.store.manifest import is_inside, plain_size
from phasetune.store.paths import SEAL, StudyPaths
from phasetune.store.references import Reference
from phasetune.store.remote.mirror import bring, bring_documents
from phasetune.store.space import size_bytes


@dataclass(frozen=True, kw_only=True)
class ResumeCheckpoint:
    """A checkpoint of an attempt: `key` of its run or trunk, None where it has no seal.

    Only one of the same `environment` serves to go on from.
    """

    path: Path
    stage: str
    key: str | None
    environment: str
    step: int
    seconds: float
    metrics: Mapping[str, float]
    size_bytes: int


def resume_checkpoints(paths: StudyPaths) -> list[ResumeCheckpoint]:
    """Every resume checkpoint of a study, by path."""
    bring_documents(paths.root / "phases")
    return [_read(path) for path in paths.all_checkpoints()]


def _read(path: Path) -> ResumeCheckpoint:
    stage, size = path.parent.name.rpartition("-")[0], size_bytes(path)
    try:
        seal = readable_seal(path)
        return ResumeCheckpoint(
            path=path,
            stage=stage,
            key=seal["key"],
            environment=json.dumps(seal["environment"], sort_keys=True),
            step=seal["step"],
            seconds=seal["elapsed_seconds"],
            metrics=_last_metrics(seal["history"]),
            size_bytes=size,
        )
    except (OSError, ValueError):
        return ResumeCheckpoint(
            path=path,
            stage=stage,
            key=None,
            environment="",
            step=0,
            seconds=0.0,
            metrics={},
            size_bytes=size,
        )


def readable_seal(path: Path) -> dict[str, Any]:
    """The seal of a checkpoint, whose fields are what they must be.

    Raises:
        OSError: there is none.
        ValueError: it is none.
    """
    seal = read_json(path / SEAL)
    if not isinstance(seal, dict) or not _says_all(seal):
        raise ValueError(f"{path / SEAL} is no seal of a checkpoint")
    steps(seal.get("history"))
    return seal


def _says_all(seal: Mapping[str, Any]) -> bool:
    files, notes, seconds = seal.get("files"), seal.get("notes"), seal.get("elapsed_seconds")
    return (
        isinstance(seal.get("key"), str)
        and isinstance(seal.get("environment"), dict)
        and type(seal.get("step")) is int
        and isinstance(seconds, int | float)
        and 0 <= seconds < math.inf
        and isinstance(notes, dict)
        and all(isinstance(is_exact, bool) for is_exact in notes.values())
        and isinstance(files, dict)
        and all(is_inside(name) and isinstance(files[name], str) for name in files)
    )


def furthest_last(seal: Mapping[str, Any], folder: Path) -> tuple[int, float, str]:
    """By how far a checkpoint got, for sorting: its step, and inside of that the time it took.

    A run that was cut inside a step goes on from there in the next attempt, so equal steps differ.
    """
    return int(seal["step"]), float(seal["elapsed_seconds"]), str(folder)


def _last_metrics(history: list[dict[str, Any]]) -> dict[str, float]:
    last = numbers(history[-1]) if history else {}
    return {name: value for name, value in last.items() if name != "step"}


def verifies(path: Path) -> bool:
    """Whether every file of a checkpoint is as its seal says; hashes them."""
    bring(path)
    try:
        return holds_exactly(path, readable_seal(path)["files"])
    except (OSError, ValueError):
        return False


def holds_exactly(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether a checkpoint holds these plain files, by digest, and no other; hidden ones may be
    the file system's own.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*")}
    names = {name for name in found if not (folder / name).is_dir()} - {SEAL}
    if not names <= set(files) or any(plain_size(folder, name) is None for name in files):
        return False
    try:
        return all(file_digest(folder / name) == expected for name, expected in files.items())
    except OSError:
        return False


def newest_of_each(found: Iterable[ResumeCheckpoint]) -> set[Path]:
    """Per run and environment class the one that an interrupted run goes on from."""
    newest: dict[tuple[str, str | None, str], ResumeCheckpoint] = {}
    for checkpoint in sorted(found, key=_furthest_last, reverse=True):
        if checkpoint.key is not None:
            of = (checkpoint.stage, checkpoint.key, checkpoint.environment)
            newest.setdefault(of, checkpoint)
    return {checkpoint.path for checkpoint in newest.values()}


def _furthest_last(checkpoint: ResumeCheckpoint) -> tuple[int, float, str]:
    seal = {"step": checkpoint.step, "elapsed_seconds": checkpoint.seconds}
    return furthest_last(seal, checkpoint.path)


class DoneRuns:
    """Which resume checkpoints are of no use any more: those of runs that are published.

    One of a trunk is, when every run of the study that branches off it is published.
    """

    def __init__(self, store: ArtifactStore, references: Iterable[Reference]) -> None:
        self._store = store
        self._branches: dict[tuple[str, str], set[str]] = {}
        for found in references:
            if found.trunk is not None:
                self._branches.setdefault((found.stage, found.trunk), set()).add(found.key)

    def has(self, checkpoint: ResumeCheckpoint) -> bool:
        """Whether the run, or the runs of the trunk, that a checkpoint is of are done."""
        if checkpoint.key is None:
            return False
        branches = self._branches.get((checkpoint.stage, checkpoint.key))
        keys = [checkpoint.key] if branches is None else branches
        return all(self._store.has(checkpoint.stage, key) for key in keys)
