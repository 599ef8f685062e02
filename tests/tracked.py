"""The records of a study, and studies that are not at their end."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune import StudyOutcome
from phasetune.report.tracked.live import Live
from phasetune.report.tracked.study import TrackedStudy
from phasetune.store.documents import read_document
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Record, Status
from phasetune.tracking.memory import Remembered

GRID = {"train.value": [0.2, 0.6]}
SMALL: dict[str, Any] = {
    "phases": [{"name": "value", "grid": GRID}],
    "final": {"refit": False, "test": False},
}
"""Changes that make a study of one phase of two trials."""


def tracked(paths: StudyPaths, live: Live | None = None) -> TrackedStudy:
    found = TrackedStudy(ResultsPaths(paths.root.parent), paths, live or Live())
    found.resting = Status.KILLED
    return found


def records(paths: StudyPaths, known: Mapping[str, Remembered] | None = None) -> dict[str, Record]:
    return {record.id: record for record in tracked(paths).everything(known or {})}


def named(found: Mapping[str, Record], name: str) -> Record:
    (record,) = (record for record in found.values() if record.name == name)
    return record


def undecided(source: StudyOutcome, folder: Path) -> StudyPaths:
    """A copy of a study whose phase was not decided yet."""
    shutil.copytree(source.paths.root.parent, folder / "results")
    paths = ResultsPaths(folder / "results").study("scripted")
    for path in (paths.phase("value").decision, paths.report):
        path.unlink()
    return paths


def without(paths: StudyPaths, name: str, stage: str) -> str:
    """Take the artifact of a trial's stage away; its key."""
    plan = read_document(paths.phase("value").plan) or {}
    (trial,) = (trial for trial in plan["trials"] if trial["name"] == name)
    (key,) = (r["key"] for r in trial["replicates"][0]["runs"] if r["stage"] == stage)
    shutil.rmtree(paths.root.parent / "store" / stage / key)
    return str(key)
