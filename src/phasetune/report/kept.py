"""What a phase kept, its plan and its decision; refused where they are not what was written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.select.shape import is_decision
from phasetune.store.documents import read_document
from phasetune.store.paths import PhasePaths, shown_path
from phasetune.store.remote.mirror import away

_TRIAL = {"name", "phase", "key", "point", "settings", "note", "replicates"}
_REPLICATE = {"seed_index", "fold", "runs"}


def kept_decision(paths: PhasePaths) -> dict[str, Any] | None:
    """The decision of a phase, or None where there is none.

    Raises:
        StoreError: there is one, but it is damaged.
    """
    return _whole(paths.decision, is_decision)


def kept_plan(paths: PhasePaths) -> dict[str, Any] | None:
    """The plan of a phase, or None where there is none.

    Raises:
        StoreError: there is one, but it is damaged.
    """
    return _whole(paths.plan, _is_plan)


def _whole(path: Path, is_as_written: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    record = read_document(path)
    if record is None or is_as_written(record):
        return record
    raise StoreError(
        f"{shown_path(path)} is not what was written; {away(path)} and run the study again"
    )


def _is_plan(record: dict[str, Any]) -> bool:
    trials = record.get("trials")
    return isinstance(trials, list) and all(map(_is_trial, trials))


def _is_trial(trial: Any) -> bool:
    return (
        isinstance(trial, dict)
        and set(trial) >= _TRIAL
        and isinstance(trial["settings"], dict)
        and isinstance(trial["point"], dict)
        and all(isinstance(trial[name], str) for name in ("name", "phase", "key"))
        and isinstance(trial["replicates"], list)
        and all(map(_is_replicate, trial["replicates"]))
    )


def _is_replicate(replicate: Any) -> bool:
    return (
        isinstance(replicate, dict)
        and set(replicate) >= _REPLICATE
        and isinstance(replicate["runs"], list)
        and all(map(_is_run, replicate["runs"]))
    )


def _is_run(run: Any) -> bool:
    return isinstance(run, dict) and all(isinstance(run.get(n), str) for n in ("stage", "key"))
