"""Checkpoints of a run: sealed by the worker, verified before anything goes on from one.

The seal lists the files with their digests, and holds what is needed besides the stage's own
state: the step, the history so far, the seconds spent. Whatever copies a checkpoint, Tune or the
in-process backend, may be killed in the middle: what does not match its seal is no checkpoint.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.stage.canonical import digest
from phasetune.store.digests import file_digest
from phasetune.store.documents import document_text, steps
from phasetune.store.durable import write_text
from phasetune.store.paths import SEAL
from phasetune.store.resume import furthest_last, holds_exactly, readable_seal


@dataclass(frozen=True, kw_only=True)
class SealedCheckpoint:
    """A checkpoint that verified: its folder, step, history, the seconds it took, and what was
    noted until then, with whether the run was still exact.
    """

    folder: Path
    step: int
    history: tuple[dict[str, float], ...]
    elapsed_seconds: float
    notes: Mapping[str, bool]


def seal(
    folder: Path,
    *,
    key: str,
    environment: Mapping[str, Any],
    step: int,
    history: Sequence[dict[str, float]],
    elapsed_seconds: float,
    notes: Mapping[str, bool],
) -> None:
    """Write the seal of a filled checkpoint folder.

    Raises:
        StoreError: the folder can't be written.
    """
    (folder / SEAL).unlink(missing_ok=True)
    content = {
        "key": key,
        "environment": environment,
        "step": step,
        "history": list(history),
        "elapsed_seconds": elapsed_seconds,
        "notes": dict(notes),
        "files": {
            path.relative_to(folder).as_posix(): file_digest(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    write_text(folder / SEAL, document_text({**content, "digest": _digest(content)}))


def newest_checkpoint(
    folders: Sequence[Path],
    *,
    key: str,
    environment: Mapping[str, Any],
    most_step: int | None = None,
) -> tuple[SealedCheckpoint | None, tuple[str, ...]]:
    """The verified checkpoint of a run that is furthest, up to `most_step`, or None.

    One of another environment class does not count: the artifact would be of neither. What was
    passed over because it is damaged is told in sentences.
    """
    seals = [(folder, _read_seal(folder, key, environment)) for folder in folders]
    found = [
        (folder, content)
        for folder, content in seals
        if content is not None and (most_step is None or content["step"] <= most_step)
    ]
    damaged: list[int] = []
    found.sort(key=lambda item: furthest_last(item[1], item[0]), reverse=True)
    for folder, content in found:
        if holds_exactly(folder, content["files"]):
            return _sealed(folder, content), _told(damaged, f"went on from step {content['step']}")
        damaged.append(content["step"])
    return None, _told(damaged, "no earlier one was there to go on from")


def _told(damaged: Sequence[int], instead: str) -> tuple[str, ...]:
    return tuple(f"the checkpoint of step {step} was damaged; {instead}" for step in damaged)


def _sealed(folder: Path, content: dict[str, Any]) -> SealedCheckpoint:
    return SealedCheckpoint(
        folder=folder,
        step=content["step"],
        history=tuple({**row, "step": int(row["step"])} for row in steps(content["history"])),
        elapsed_seconds=content["elapsed_seconds"],
        notes=content["notes"],
    )


def _digest(content: dict[str, Any]) -> str:
    return digest(json.loads(document_text(content)))


def _read_seal(folder: Path, key: str, environment: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        content = readable_seal(folder)
        intact = content.pop("digest", None) == _digest(content) and content["key"] == key
    except (OSError, ValueError, RecursionError):
        return None
    return content if intact and content["environment"] == environment else None
