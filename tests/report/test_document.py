"""The canonical report: the same wherever, whenever and beside whatever a study ran."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import StoreError, StudyOutcome
from phasetune.api import run_study
from phasetune.report.document import chosen_studies, kept_study, report_document
from phasetune.store.paths import ResultsPaths
from report.conftest import Runner

HISTORY = {"duration_seconds", "host", "started", "path", "attempt", "resumed", "git", "command"}


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(item) for item in value.values()))
    if isinstance(value, list):
        return set[str]().union(*(keys_of(item) for item in value))
    return set()


def test_two_folders_have_the_same_bytes(ran: Runner) -> None:
    changes: dict[str, Any] = {
        "replicates": {"folds": 2},
        "phases": [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}],
        "constraints": ["other >= 0.3", "score >= 0.5 * baseline"],
    }
    first, second = (ran(results=folder, **changes) for folder in ("here", "there/below"))
    assert first.paths.report.read_bytes() == second.paths.report.read_bytes()
    assert first.paths.analysis.read_bytes() == second.paths.analysis.read_bytes()


def test_it_says_nothing_of_where_and_when(whole: StudyOutcome) -> None:
    text = whole.paths.report.read_text()
    assert str(whole.paths.root.parent) not in text
    assert socket.gethostname() not in text
    assert not re.search(r"\d{4}-\d\d-\d\d", text)
    found = keys_of(json.loads(text))
    assert "final_recommendation" in found
    assert not found & HISTORY


def test_a_second_study_in_the_same_store_changes_nothing(
    ran: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    first = ran(phases=phases)
    before = first.paths.report.read_bytes()
    second = ran(name="second", phases=phases)
    assert not second.result.account.executed
    assert report_document(first.paths) == json.loads(before)
    again = run_study(scripted_study(phases=phases), results=tmp_path / "results", in_process=True)
    assert again.paths.report.read_bytes() == before
    alone = ran(results="alone", name="second", phases=phases)
    assert alone.paths.report.read_bytes() == second.paths.report.read_bytes()


def test_what_it_holds(whole: StudyOutcome) -> None:
    report = whole.report
    assert report["is_complete"]
    assert report["study"]["description"] == "Why?"
    assert [record["winner"] for record in report["phases"]] == [
        "value-value=0.6",
        "preparation-value=0.5",
        "steps-steps=3",
    ]
    final = report["final_recommendation"]
    assert (final["trial"], final["phase"]) == ("steps-steps=3", "steps")
    assert final["settings"]["train.value"] == 0.6
    assert final["validation"]["score"]["mean"] == 0.6
    assert final["test"]["score"] == 0.25
    assert not [name for name in final["test"] if name.startswith(("prepare_", "train_"))]
    assert report["warnings"] == []


def test_decisions_that_no_longer_follow_are_left_out(ran: Runner) -> None:
    ran()
    values = {"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4, 0.9]}}
    later = [
        {"name": "preparation", "grid": {"prepare.value": [0.5, 0.7]}},
        {"name": "steps", "grid": {"train.steps": [3, 4]}},
    ]
    outcome = ran(phases=[values, *later], phase="value")
    assert [record["phase"] for record in outcome.report["phases"]] == ["value"]
    assert not outcome.report["is_complete"]
    assert outcome.report["final"] is None
    assert outcome.report["final_recommendation"]["trial"] == "value-value=0.9"
    assert outcome.report["final_recommendation"]["test"] is None


def test_a_study_without_a_final_is_complete_with_its_last_decision(ran: Runner) -> None:
    outcome = ran(final={"refit": False, "test": False})
    assert outcome.report["is_complete"]
    assert outcome.report["final"] is None
    assert outcome.winner is not None
    assert outcome.winner["test"] is None


def test_nothing_feasible_recommends_nothing(ran: Runner) -> None:
    report = ran(constraints=["score >= 2"]).report
    assert report["final_recommendation"] is None
    assert [record["outcome"] for record in report["phases"]] == ["none_feasible"]
    assert not report["is_complete"]


def test_kept_settings_are_recommended_without_a_trial(ran: Runner) -> None:
    final = ran(constraints=["score >= 2"], if_infeasible="keep_carried").winner
    assert final is not None
    assert (final["trial"], final["validation"]) == (None, None)
    assert final["settings"]["train.value"] == 0.5


def test_the_study_is_kept_as_it_was_asked(ran: Runner, scripted_study: StudyMaker) -> None:
    changes: dict[str, Any] = {
        "phases": [{"name": "only", "points": [{"train.value": 0.1, "note": "low"}]}],
        "constraints": ["score >= 0.5 * baseline"],
        "numerics": {"threads": 2},
    }
    assert kept_study(ran(**changes).paths) == scripted_study(**changes)


def test_studies_are_chosen_by_name(ran: Runner, tmp_path: Path) -> None:
    for name in ("one", "two"):
        ran(name=name, phases=[{"name": "only", "points": [{}]}])
    results = tmp_path / "results"
    names = [paths.root.name for paths in chosen_studies(results, None)]
    assert names == ["one", "two"]
    assert [paths.root.name for paths in chosen_studies(results, "two")] == ["two"]
    with pytest.raises(StoreError, match="holds no study 'three'; it holds: one, two"):
        chosen_studies(results, "three")


def test_a_folder_without_studies_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study; name a results root"):
        chosen_studies(tmp_path / "nowhere", None)
    with pytest.raises(StoreError, match="holds no study; results are made by"):
        kept_study(ResultsPaths(tmp_path).study("toy"))


def test_secrets_of_the_study_are_not_told(ran: Runner) -> None:
    outcome = ran(
        phases=[{"name": "one", "points": [{}]}],
        data={"content": "sql://ann:hunter2@db"},
        description="password: hunter2",
        constraints=[],
    )
    study = json.loads(outcome.paths.report.read_text())["study"]
    assert study["data"]["content"] == "sql://ann:***@db"
    assert study["description"] == "password: ***"
    assert "hunter2" not in outcome.paths.report.read_text()
    assert kept_study(outcome.paths).data["content"] == "sql://ann:hunter2@db"
