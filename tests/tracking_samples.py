"""Records to tell trackers of, and MLflow databases that need not be made for each test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
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


@cache
def _database() -> Path:
    """Kept for the next tests: making one takes longer than most of them."""
    kept = Path(
        tempfile.gettempdir(), f"phasetune-test-mlflow-{version('mlflow')}-{os.getuid()}.db"
    )
    if not kept.exists():
        with tempfile.TemporaryDirectory(prefix="phasetune-test-mlflow-") as folder:
            made = Path(folder, "mlflow.db")
            command = [sys.executable, "-m", "phasetune.tracking.mlflow.database"]
            subprocess.run([*command, str(made), folder], check=True)
            made.replace(kept)
    return kept


def put_database(file: Path) -> None:
    """An empty MLflow database, as `connect` would make it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_database(), file)
