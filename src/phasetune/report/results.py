"""A folder per trial by its name, for people: `trials/<name>/results.json`, and what it exports.

Files that a stage exports, such as a pre-trained encoder, are copied there as
`<name>_<file>`; of a trial with several replicates those of the first.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.kept import kept_decision, kept_plan
from phasetune.report.times import mean_minutes, minutes
from phasetune.select.record import summary_record
from phasetune.select.scores import TrialScore, chain_metrics, summaries
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.digests import file_digest
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import replacing, withdraw
from phasetune.store.paths import ResultsPaths, StudyPaths

SCHEMA = 1


def trial_results(study: StudyPaths, name: str) -> Path:
    """Where the results of a trial are."""
    return study.trial(name) / "results.json"


def files_of_trial(study: StudyPaths, name: str) -> list[Path]:
    """The results of a trial, and the files that they say it exports."""
    files = [trial_results(study, name).name, *_exported(study, name)]
    return [study.trial(name) / file for file in files]


def write_phase_results(results: ResultsPaths, study: StudyPaths, phase: str) -> None:
    """Write the results of every trial of a decided phase."""
    plan, standings = kept_plan(study.phase(phase)), _standings(study, phase)
    for trial in [] if plan is None else plan["trials"]:
        _write_results(results, study, trial, standings.get(trial["key"], {}))


def write_trial_results(
    results: ResultsPaths, study: StudyPaths, trial: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one trial's results: its settings, metrics over replicates, and each one's runs."""
    standing = _standings(study, trial["phase"]).get(trial["key"], {})
    return _write_results(results, study, trial, standing)


def _standings(study: StudyPaths, phase: str) -> dict[str, dict[str, Any]]:
    """How trials stand in their phase's decision, by key; none where there is no decision."""
    decision = kept_decision(study.phase(phase))
    found: dict[str, dict[str, Any]] = {}
    for verdict in [] if decision is None else decision["trials"]:
        standing = {
            "standing": verdict["standing"],
            "reason": verdict["reason"],
            "is_winner": decision is not None and verdict["name"] == decision["winner"],
        }
        found.setdefault(verdict["key"], standing)
    return found


def _write_results(
    results: ResultsPaths,
    study: StudyPaths,
    trial: Mapping[str, Any],
    standing: Mapping[str, Any],
) -> dict[str, Any]:
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
        "times": mean_minutes([replicate["times"] for replicate in replicates]),
        "exports": _copy_exports(study, trial, store),
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
        "times": minutes([(run["stage"], artifact) for run, artifact in runs]),
        "runs": [_run(run, artifact) for run, artifact in runs],
    }


def _run(run: Mapping[str, Any], artifact: Artifact | None) -> dict[str, Any]:
    about = {
        "stage": run["stage"],
        "key": run["key"],
        "artifact": f"store/{run['stage']}/{run['key']}",
    }
    if artifact is None:
        return {**about, "seconds": None}
    return {**about, "seconds": artifact.duration_seconds, **artifact.resources}


def _copy_exports(study: StudyPaths, trial: Mapping[str, Any], store: ArtifactStore) -> list[str]:
    """Copy what the first replicate's stages export; returns the names it has here.

    What an earlier computation of the trial exported and this one did not goes.
    """
    before, copied = _exported(study, trial["name"]), list[str]()
    for run in trial["replicates"][0]["runs"]:
        artifact = store.intact(run["stage"], run["key"])
        if artifact is None:
            continue
        for name in artifact.exports:
            source = artifact.files / name
            copied.append(f"{trial['name']}_{name}")
            target = study.trial(trial["name"]) / copied[-1]
            if not target.is_file() or file_digest(target) != file_digest(source):
                with replacing(target) as draft:
                    shutil.copyfile(source, draft)
    for name in set(before) - set(copied):
        withdraw(study.trial(trial["name"]) / name)
    return copied


def _exported(study: StudyPaths, name: str) -> list[str]:
    """What the results of a trial, as they stand, say that it exported."""
    try:
        document = read_document(trial_results(study, name)) or {}
    except StoreError:
        return []
    exports = document.get("exports")
    found = [str(file) for file in exports] if isinstance(exports, list) else []
    return [file for file in found if file.startswith(f"{name}_") and ".." not in file]
