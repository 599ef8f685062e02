"""A folder per trial by its name, for people: `trials/<name>/results.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.select.record import summary_record
from phasetune.select.scores import TrialScore, chain_metrics, summaries
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import read_document, write_document
from phasetune.store.paths import ResultsPaths, StudyPaths

SCHEMA = 1


def trial_results(study: StudyPaths, name: str) -> Path:
    """Where the results of a trial are."""
    return study.trial(name) / "results.json"


def write_phase_results(results: ResultsPaths, study: StudyPaths, phase: str) -> None:
    """Write the results of every trial of a decided phase."""
    plan = read_document(study.phase(phase).plan)
    for trial in [] if plan is None else plan["trials"]:
        write_trial_results(results, study, trial)


def _standing(study: StudyPaths, trial: Mapping[str, Any]) -> dict[str, Any]:
    """How a trial stands in its phase's decision; nothing where it took no part in one."""
    decision = read_document(study.phase(trial["phase"]).decision)
    for verdict in [] if decision is None else decision["trials"]:
        if verdict["key"] == trial["key"]:
            return {
                "standing": verdict["standing"],
                "reason": verdict["reason"],
                "is_winner": decision is not None and verdict["name"] == decision["winner"],
            }
    return {}


def write_trial_results(
    results: ResultsPaths, study: StudyPaths, trial: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one trial's results: its settings, metrics over replicates, and each one's runs."""
    store = ArtifactStore(results.store)
    replicates = [_replicate(replicate, store) for replicate in trial["replicates"]]
    complete = [replicate["metrics"] for replicate in replicates if replicate["is_done"]]
    score = TrialScore(name=trial["name"], index=0, key=trial["key"], replicates=complete)
    document = {
        "schema": SCHEMA,
        "name": trial["name"],
        "phase": trial["phase"],
        "note": trial["note"],
        "point": trial["point"],
        "parameters": trial["settings"],
        **_standing(study, trial),
        "metrics": {name: summary_record(found) for name, found in summaries(score).items()},
        "replicates": replicates,
    }
    write_document(trial_results(study, trial["name"]), document)
    return document


def _replicate(replicate: Mapping[str, Any], store: ArtifactStore) -> dict[str, Any]:
    runs = [(run, store.intact(run["stage"], run["key"])) for run in replicate["runs"]]
    return {
        "seed_index": replicate["seed_index"],
        "fold": replicate["fold"],
        "is_done": all(artifact is not None for _, artifact in runs),
        "metrics": chain_metrics(
            [(run["stage"], {} if artifact is None else artifact.metrics) for run, artifact in runs]
        ),
        "runs": [
            {
                "stage": run["stage"],
                "key": run["key"],
                "artifact": f"store/{run['stage']}/{run['key']}",
                "seconds": None if artifact is None else artifact.duration_seconds,
            }
            for run, artifact in runs
        ],
    }
