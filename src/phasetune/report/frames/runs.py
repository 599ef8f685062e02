"""One row per run of each trial's replicate; a shared run stands in each that uses it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.report.document import chosen_studies
from phasetune.report.frames.columns import RUNS
from phasetune.report.frames.decided import DecidedPhase, Stored, decided_phases
from phasetune.report.frames.table import Row, frame_of
from phasetune.store.artifacts import Artifact
from phasetune.store.paths import shown_path


def runs_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per run of each trial's replicate: status, seconds, device, path, metrics."""
    stored = Stored(results)
    phases = (phase for paths in chosen_studies(results, study) for phase in decided_phases(paths))
    return frame_of([row for phase in phases for row in _rows(phase, stored)], RUNS)


def _rows(phase: DecidedPhase, stored: Stored) -> Iterator[Row]:
    for trial in phase.trials:
        for position, replicate in enumerate(trial["replicates"]):
            for run in replicate["runs"]:
                artifact = stored.artifact(run)
                about = {
                    "study": phase.study.root.name,
                    "phase": trial["phase"],
                    "trial": trial["name"],
                    "replicate": position,
                    "seed_index": replicate["seed_index"],
                    "fold": replicate["fold"],
                    "stage": run["stage"],
                    "key": run["key"],
                    "seed": run["seed"],
                }
                if artifact is None:
                    yield Row(about={**about, **_not_done(run, stored)})
                else:
                    done = _done(artifact, is_reused=phase.is_reused(run, artifact))
                    yield Row(about={**about, **done}, metrics=artifact.metrics)


def _not_done(run: Mapping[str, Any], stored: Stored) -> dict[str, Any]:
    failure = stored.failure(run)
    return {
        "status": "not_run" if failure is None else "failed",
        "failure": None if failure is None else failure.message,
        "reused": False,
    }


def _done(artifact: Artifact, *, is_reused: bool) -> dict[str, Any]:
    computed = artifact.manifest["provenance"]
    return {
        "status": "done",
        "reused": is_reused,
        "seconds": artifact.duration_seconds,
        "device": str(artifact.environment["device"]),
        "computed_by": computed.get("study"),
        "started": computed.get("started"),
        **artifact.resources,
        "is_exact": artifact.is_exact,
        "notes": "; ".join(artifact.notes),
        "path": shown_path(artifact.folder),
    }
