"""One row per distinct run and reported step."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.report.document import chosen_studies
from phasetune.report.frames.columns import HISTORY
from phasetune.report.frames.decided import DecidedPhase, Stored, decided_phase, phase_paths, runs
from phasetune.report.frames.kept import KeptTables
from phasetune.report.frames.table import Row, frame_of, together
from phasetune.store.paths import StudyPaths


def history_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per distinct run and reported step, the last report of each step.

    A run that several phases use stands in the first of them. Read from each phase's own table
    where that is whole and was made from the plan and the decision that stand.
    """
    found = chosen_studies(results, study)
    return together((frame for paths in found for frame in _frames(results, paths)), HISTORY)


def _frames(results: Path, study: StudyPaths) -> Iterator[pd.DataFrame]:
    kept, seen = KeptTables(study), set[str]()
    for paths in phase_paths(study):
        frame = kept.read(paths, paths.history)
        if frame is None:
            phase = decided_phase(study, paths)
            frame = None if phase is None else phase_history(results, phase)
        if frame is not None:
            yield frame[~frame["key"].isin(seen)]
            seen.update(frame["key"].unique())


def phase_history(results: Path, phase: DecidedPhase) -> pd.DataFrame:
    """The steps of every distinct run of a decided phase, from the store."""
    return frame_of(list(_rows(phase, Stored(results))), HISTORY)


def _rows(phase: DecidedPhase, stored: Stored) -> Iterator[Row]:
    users: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for trial in phase.trials:
        for run in runs(trial):
            users.setdefault(run["key"], (trial, run))
    for trial, run in users.values():
        artifact = stored.artifact(run)
        about = {
            "study": phase.study.root.name,
            "phase": trial["phase"],
            "trial": trial["name"],
            "stage": run["stage"],
            "key": run["key"],
        }
        for step in [] if artifact is None else artifact.history():
            metrics = {name: value for name, value in step.items() if name != "step"}
            yield Row(about={**about, "step": int(step["step"])}, metrics=metrics)
