"""A folder per trial by its name."""

import json
from typing import Any

from phasetune import StudyOutcome
from report.conftest import Runner


def results_of(outcome: StudyOutcome, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((outcome.paths.trial(name) / "results.json").read_text())
    return found


def test_every_trial_of_every_phase_has_one(whole: StudyOutcome) -> None:
    names = {trial["name"] for record in whole.report["phases"] for trial in record["trials"]}
    folders = {path.parent.name for path in whole.paths.root.glob("trials/*/results.json")}
    assert folders == names
    assert {"value-value=0.2", "value-baseline", "steps-steps=4"} < names


def test_what_it_holds(ran: Runner) -> None:
    point = {"train.value": 0.75, "note": "recommended"}
    phases = [{"name": "one", "points": [point, {"train.value": 0.5}]}]
    outcome = ran(phases=phases, replicates={"seeds": 2, "folds": 2})
    found = results_of(outcome, "one-value=0.75")
    assert (found["phase"], found["note"]) == ("one", "recommended")
    assert (found["standing"], found["reason"], found["is_winner"]) == ("feasible", None, True)
    assert found["point"] == {"train.value": 0.75}
    assert found["parameters"]["train.steps"] == 3
    assert found["metrics"]["score"] == {"mean": 0.75, "sem": 0.0, "values": [0.75] * 4}
    assert [(r["seed_index"], r["fold"]) for r in found["replicates"]] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert not results_of(outcome, "one-value=0.5")["is_winner"]


def test_its_artifacts_are_where_it_says(whole: StudyOutcome) -> None:
    (replicate,) = results_of(whole, "value-value=0.6")["replicates"]
    assert [run["stage"] for run in replicate["runs"]] == ["prepare", "train"]
    for run in replicate["runs"]:
        artifact = whole.paths.root.parent / run["artifact"]
        manifest = json.loads((artifact / "manifest.json").read_text())
        assert manifest["provenance"]["duration_seconds"] == run["seconds"]
        assert manifest["key"] == run["key"]


def test_a_failed_trial_says_why_and_which_replicates_are_done(ran: Runner) -> None:
    points = [{"train.fault": "raise"}, {"train.value": 0.1}]
    outcome = ran(phases=[{"name": "one", "points": points}])
    found = results_of(outcome, "one-fault=raise-value=0.5")
    assert found["standing"] == "ineligible"
    assert "scripted failure" in found["reason"]
    assert found["metrics"] == {}
    (replicate,) = found["replicates"]
    assert not replicate["is_done"]
    assert [run["seconds"] is None for run in replicate["runs"]] == [False, True]


def test_a_metric_that_is_no_number_is_written_as_text(ran: Runner) -> None:
    points = [{"train.fault": "nan"}, {"train.value": 0.1}]
    outcome = ran(phases=[{"name": "one", "points": points}])
    assert results_of(outcome, "one-fault=nan-value=0.5")["metrics"]["score"]["mean"] == "nan"
