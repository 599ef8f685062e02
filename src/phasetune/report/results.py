"""A folder per trial by its name, for people: `trials/<name>/results.json`."""

from collections.abc import Mapping
from typing import Any

from phasetune.errors import StoreError
from phasetune.select.record import summary_record
from phasetune.select.scores import TrialScore, chain_metrics, summaries
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.documents import read_document, write_document
from phasetune.store.paths import ResultsPaths, StudyPaths

SCHEMA = 1


def write_phase_results(results: ResultsPaths, study: StudyPaths, phase: str) -> None:
    """Write the results of every trial of a decided phase."""
    plan = read_document(study.phase(phase).plan)
    decision = read_document(study.phase(phase).decision)
    if plan is None or decision is None:
        return
    verdicts = {trial["name"]: trial for trial in decision["trials"]}
    for trial in plan["trials"]:
        verdict = verdicts.get(trial["name"], {})
        standing = {
            "standing": verdict.get("standing"),
            "reason": verdict.get("reason"),
            "is_winner": trial["name"] == decision["winner"],
        }
        write_trial_results(results, study, trial, standing)


def write_trial_results(
    results: ResultsPaths,
    study: StudyPaths,
    trial: Mapping[str, Any],
    standing: Mapping[str, Any],
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
        **standing,
        "metrics": {name: summary_record(found) for name, found in summaries(score).items()},
        "replicates": replicates,
    }
    write_document(study.trial(trial["name"]) / "results.json", document)
    return document


def _replicate(replicate: Mapping[str, Any], store: ArtifactStore) -> dict[str, Any]:
    runs = [(run, _artifact(run, store)) for run in replicate["runs"]]
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


def _artifact(run: Mapping[str, Any], store: ArtifactStore) -> Artifact | None:
    try:
        return store.get(run["stage"], run["key"])
    except StoreError:
        return None
