"""Records to tell trackers of, and MLflow databases that need not be made for each test."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Record, Series, Status, Tracker

STARTED = 1_700_000_000.0


def study_record(**changes: Any) -> Record:
    given: dict[str, Any] = {
        "id": "study",
        "parent": None,
        "kind": "study",
        "name": "one",
        "status": Status.RUNNING,
        "started": STARTED,
    }
    return Record(**{**given, **changes})


def phase_record(**changes: Any) -> Record:
    phase = {"id": "phase:size", "parent": "study", "kind": "phase", "name": "size"}
    return study_record(**{**phase, **changes})


def trial_record(key: str = "k1", **changes: Any) -> Record:
    trial = {"id": f"trial:size:{key}", "parent": "phase:size", "kind": "trial", "name": key}
    return study_record(**{**trial, **changes})


def series(
    steps: Sequence[int], *, stage: str = "fit", others: Mapping[str, float] | None = None
) -> Series:
    """A metric `loss` of 1 / step, and others that stay; a step each second."""
    metrics: list[Mapping[str, float]] = [{"loss": 1 / step, **(others or {})} for step in steps]
    times = [STARTED + step for step in steps]
    return Series(stage=stage, steps=list(steps), metrics=metrics, times=times)


def opened(tracker: Tracker) -> tuple[str, str, str]:
    """A study, a phase and a trial of it, begun."""
    study = tracker.open(study_record(), None)
    phase = tracker.open(phase_record(), study)
    return study, phase, tracker.open(trial_record(), phase)


def results_below(folder: Path) -> tuple[ResultsPaths, StudyPaths]:
    results = ResultsPaths(folder / "results")
    return results, results.study("one")


_FOLDER = TemporaryDirectory(prefix="phasetune-test-mlflow-")


@cache
def _database() -> Path:
    folder = Path(_FOLDER.name)
    command = [sys.executable, "-m", "phasetune.tracking.mlflow.database"]
    subprocess.run([*command, str(folder / "mlflow.db"), str(folder)], check=True)
    return folder / "mlflow.db"


def put_database(file: Path) -> None:
    """An empty MLflow database, as `connect` would make it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_database(), file)
