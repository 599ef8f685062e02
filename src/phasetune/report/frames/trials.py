"""One row per trial and phase."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.report.document import chosen_studies
from phasetune.report.frames.columns import TEXT, TRIALS
from phasetune.report.frames.decided import DecidedPhase, Stored, decided_phase, phase_paths
from phasetune.report.frames.kept import KeptTables
from phasetune.report.frames.table import Row, frame_of, parameters_of, together
from phasetune.report.times import mean_minutes, minutes
from phasetune.select.verdict import Standing
from phasetune.stage.canonical import restored
from phasetune.store.artifacts import Artifact
from phasetune.store.masking import masked_content
from phasetune.store.paths import StudyPaths, shown_path

_Chain = list[tuple[Mapping[str, Any], Artifact | None]]
"""The runs of a replicate, each with its artifact."""


def trials_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per trial and phase: standing, parameters, and per metric mean and standard error.

    Read from each phase's own table where that is whole and was made from the plan and the decision
    that stand, so that no artifact is looked at.
    """
    found = chosen_studies(results, study)
    return together((frame for paths in found for frame in _frames(results, paths)), TRIALS)


def _frames(results: Path, study: StudyPaths) -> Iterator[pd.DataFrame]:
    kept = KeptTables(study)
    for paths in phase_paths(study):
        frame = kept.read(paths, paths.trials)
        if frame is not None:
            yield _with_paths(frame, study)
        elif (phase := decided_phase(study, paths)) is not None:
            yield phase_trials(results, phase)


def _with_paths(frame: pd.DataFrame, study: StudyPaths) -> pd.DataFrame:
    """The table with paths as they are now: results may have been moved since it was written."""
    paths = f"{shown_path(study.root)}/{study.trial('').name}/" + frame["trial"]
    return frame.assign(path=paths.astype(TEXT))


def phase_trials(results: Path, phase: DecidedPhase) -> pd.DataFrame:
    """The trials of a decided phase, from its documents and the store."""
    stored = Stored(results)
    verdicts = {verdict["name"]: verdict for verdict in phase.decision["trials"]}
    rows = [
        _row(trial, verdicts[trial["name"]], phase, stored)
        for trial in phase.trials
        if trial["name"] in verdicts
    ]
    return _without_secrets(frame_of(rows, TRIALS))


def _without_secrets(frame: pd.DataFrame) -> pd.DataFrame:
    """What people write freely, as settings and notes are, may hold a password."""
    for name in ("note", *parameters_of(frame)):
        if frame[name].dtype == TEXT:
            shown = {
                text: masked_content({name: text})[name] for text in frame[name].dropna().unique()
            }
            frame[name] = frame[name].map(shown).astype(TEXT)
    return frame


def _row(
    trial: Mapping[str, Any], verdict: Mapping[str, Any], phase: DecidedPhase, stored: Stored
) -> Row:
    chains: list[_Chain] = [
        [(run, stored.artifact(run)) for run in replicate["runs"]]
        for replicate in trial["replicates"]
    ]
    times = mean_minutes(
        [minutes([(run["stage"], artifact) for run, artifact in chain]) for chain in chains]
    )
    margins = {f"margin: {text}": float(value) for text, value in verdict["margins"].items()}
    metrics = verdict["metrics"]
    return Row(
        about={
            "study": phase.study.root.name,
            **_judged(trial, verdict, phase.decision),
            **_computed(chains, phase, stored),
            "path": shown_path(phase.study.trial(trial["name"])),
        },
        parameters={name: restored(value) for name, value in trial["settings"].items()},
        numbers={**margins, **times},
        metrics={name: float(found["mean"]) for name, found in metrics.items()},
        errors={name: _number(found["sem"]) for name, found in metrics.items()},
    )


def _judged(
    trial: Mapping[str, Any], verdict: Mapping[str, Any], decision: Mapping[str, Any]
) -> dict[str, Any]:
    standing = verdict["standing"]
    values = [summary["values"] for summary in verdict["metrics"].values()]
    return {
        "phase": trial["phase"],
        "trial": trial["name"],
        "standing": standing,
        "feasible": None if standing == Standing.INELIGIBLE else standing == Standing.FEASIBLE,
        "is_winner": trial["name"] == decision["winner"],
        "candidate": verdict["candidate"],
        "baseline": verdict["baseline"],
        "reason": verdict["reason"],
        "note": trial["note"],
        "replicates": len(trial["replicates"]),
        "replicates_done": max(map(len, values), default=0),
    }


def _computed(chains: list[_Chain], phase: DecidedPhase, stored: Stored) -> dict[str, Any]:
    runs = {run["key"]: (run, artifact) for chain in chains for run, artifact in chain}
    done = [(run, artifact) for run, artifact in runs.values() if artifact is not None]
    is_done = len(done) == len(runs)
    devices = {str(artifact.environment["device"]) for _, artifact in done}
    return {
        "status": "done" if is_done else _why_not_done(list(runs.values()), stored),
        "reused": is_done and all(phase.is_reused(run, artifact) for run, artifact in done),
        "seconds": sum(artifact.duration_seconds for _, artifact in done) if is_done else None,
        "device": ", ".join(sorted(devices)) or None,
    }


def _why_not_done(runs: _Chain, stored: Stored) -> str:
    missing = (run for run, artifact in runs if artifact is None)
    return "failed" if any(stored.failure(run) for run in missing) else "not_run"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
