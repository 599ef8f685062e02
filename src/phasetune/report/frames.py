"""Tidy DataFrames of studies: one row per trial, per run, per reported step."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasetune.report.document import chosen_studies, kept_study
from phasetune.report.kept import kept_decision, kept_plan
from phasetune.report.times import mean_minutes, minutes
from phasetune.stage.canonical import digest
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.digests import file_digest
from phasetune.store.durable import replacing
from phasetune.store.failures import FailureStore
from phasetune.store.paths import PhasePaths, ResultsPaths, StudyPaths

_MADE_FROM = "made_from"


def trials_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per trial and phase: standing, parameters, and per metric mean, sem and n.

    Read from each phase's own table where that was made from the plan and decision that stand, so
    that no artifact is looked at.
    """
    frames = [
        frame
        for paths in chosen_studies(results, study)
        for frame in _trial_frames(results, paths)
        if not frame.empty
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def runs_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per run of each trial's replicate; a shared run stands in each that uses it."""
    rows = [row for paths in chosen_studies(results, study) for row in _run_rows(results, paths)]
    return pd.DataFrame(rows)


def history_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per distinct run and reported step, the last report of each step."""
    rows = [row for p in chosen_studies(results, study) for row in _history_rows(results, p)]
    return pd.DataFrame(rows)


def write_phase_frames(results: Path, paths: StudyPaths, phase: str) -> None:
    """Write a phase's trials and history as Parquet, durably."""
    trials = pd.DataFrame(_trial_rows(results, paths, phase))
    trials.attrs = {_MADE_FROM: _documents_digest(paths.phase(phase))}
    history = pd.DataFrame(_history_rows(results, paths, phase))
    for frame, path in ((trials, paths.phase(phase).trials), (history, paths.phase(phase).history)):
        with replacing(path) as draft:
            frame.to_parquet(draft, index=False)


def _trial_frames(results: Path, paths: StudyPaths) -> Iterator[pd.DataFrame]:
    for phase in kept_study(paths).phases:
        kept = _kept_trials(paths.phase(phase.name))
        yield pd.DataFrame(_trial_rows(results, paths, phase.name)) if kept is None else kept


def _kept_trials(paths: PhasePaths) -> pd.DataFrame | None:
    """A phase's table as it was written; None where it was made from what no longer stands."""
    made_from = _documents_digest(paths)
    if made_from is None or not paths.trials.exists():
        return None
    try:
        frame = pd.read_parquet(paths.trials)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError
        return None
    fits = frame.attrs.pop(_MADE_FROM, None) == made_from
    return frame if fits else None


def _documents_digest(paths: PhasePaths) -> str | None:
    """Of the plan and the decision that a phase's table says no more than; None without both."""
    documents = (paths.plan, paths.decision)
    if not all(path.is_file() for path in documents):
        return None
    return digest([file_digest(path) for path in documents])


def _phases(paths: StudyPaths, only: str | None) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Plan and decision of each phase that has both."""
    names = [phase.name for phase in kept_study(paths).phases] if only is None else [only]
    for name in names:
        plan = kept_plan(paths.phase(name))
        decision = kept_decision(paths.phase(name))
        if plan is not None and decision is not None:
            yield plan, decision


def _trial_rows(results: Path, paths: StudyPaths, phase: str) -> Iterator[dict[str, Any]]:
    store = ArtifactStore(ResultsPaths(results).store)
    for plan, decision in _phases(paths, phase):
        verdicts = {trial["name"]: trial for trial in decision["trials"]}
        for trial in plan["trials"]:
            verdict = verdicts.get(trial["name"])
            if verdict is not None:
                about = {"study": paths.root.name, **_times(trial, store)}
                yield _trial_row(about, trial, verdict, decision)


def _trial_row(
    about: Mapping[str, Any],
    trial: Mapping[str, Any],
    verdict: Mapping[str, Any],
    decision: Mapping[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        **about,
        "phase": trial["phase"],
        "trial": trial["name"],
        "is_winner": trial["name"] == decision["winner"],
        "standing": verdict["standing"],
        "reason": verdict["reason"],
        "candidate": verdict["candidate"],
        "baseline": verdict["baseline"],
        "note": trial["note"],
        "replicates": len(trial["replicates"]),
        **trial["settings"],
    }
    row |= {f"margin: {text}": float(margin) for text, margin in verdict["margins"].items()}
    metrics = verdict["metrics"]
    means = {name: float(summary["mean"]) for name, summary in metrics.items()}
    return with_metrics(row, means) | {
        f"{name}_sem": _float(summary["sem"]) for name, summary in metrics.items()
    }


def with_metrics(row: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
    """A row and metrics beside it; one that has the name of a column becomes `metric_<name>`."""
    return {**row, **{f"metric_{n}" if n in row else n: value for n, value in metrics.items()}}


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _times(trial: Mapping[str, Any], store: ArtifactStore) -> dict[str, float]:
    """The minutes of one replicate, the mean over them, as if nothing was shared."""
    chains = [
        [(run["stage"], store.intact(run["stage"], run["key"])) for run in replicate["runs"]]
        for replicate in trial["replicates"]
    ]
    return mean_minutes([minutes(chain) for chain in chains])


def _run_rows(results: Path, paths: StudyPaths) -> Iterator[dict[str, Any]]:
    store, failures = (
        ArtifactStore(ResultsPaths(results).store),
        FailureStore(ResultsPaths(results).store),
    )
    for plan, _ in _phases(paths, None):
        for trial in plan["trials"]:
            for position, replicate in enumerate(trial["replicates"]):
                for run in replicate["runs"]:
                    about = {
                        "study": paths.root.name,
                        "phase": trial["phase"],
                        "trial": trial["name"],
                        "replicate": position,
                        "seed_index": replicate["seed_index"],
                        "fold": replicate["fold"],
                    }
                    yield _run_row(about, run, store, failures)


def _run_row(
    about: Mapping[str, Any],
    run: Mapping[str, Any],
    store: ArtifactStore,
    failures: FailureStore,
) -> dict[str, Any]:
    artifact = store.intact(run["stage"], run["key"])
    failure = failures.get(run["stage"], run["key"])
    state = "done" if artifact is not None else "failed" if failure is not None else "not_run"
    row: dict[str, Any] = {
        "stage": run["stage"],
        "key": run["key"],
        "seed": run["seed"],
        "state": state,
        "failure": None if failure is None else failure.message,
    }
    if artifact is None:
        return {**about, **row}
    computed = artifact.manifest["provenance"]
    row |= {
        "seconds": artifact.duration_seconds,
        "device": artifact.environment["device"],
        "computed_by": computed["study"],
        "started": computed["started"],
        **artifact.resources,
        "is_exact": artifact.is_exact,
        "notes": "; ".join(artifact.notes),
        "path": str(artifact.folder),
    }
    return with_metrics({**about, **row}, artifact.metrics)


def _history_rows(
    results: Path, paths: StudyPaths, phase: str | None = None
) -> Iterator[dict[str, Any]]:
    store = ArtifactStore(ResultsPaths(results).store)
    seen: set[str] = set()
    for plan, _ in _phases(paths, phase):
        for trial in plan["trials"]:
            for run in (run for replicate in trial["replicates"] for run in replicate["runs"]):
                if run["key"] not in seen:
                    seen.add(run["key"])
                    artifact = store.intact(run["stage"], run["key"])
                    yield from _steps(paths.root.name, trial, run, artifact)


def _steps(
    study: str, trial: Mapping[str, Any], run: Mapping[str, Any], artifact: Artifact | None
) -> Iterator[dict[str, Any]]:
    about = {
        "study": study,
        "phase": trial["phase"],
        "trial": trial["name"],
        "stage": run["stage"],
        "key": run["key"],
    }
    for row in [] if artifact is None else artifact.history():
        metrics = {name: value for name, value in row.items() if name != "step"}
        yield with_metrics({**about, "step": int(row["step"])}, metrics)
