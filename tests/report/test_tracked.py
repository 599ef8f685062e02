"""The records that trackers are told, from what a study left."""

from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StudyOutcome, run_study
from phasetune.store.documents import read_document
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.contract import Status
from tracked import SMALL, named, records, tracked


def test_records_hang_below_their_phase_and_that_below_the_study(whole: StudyOutcome) -> None:
    found = tracked(whole.paths).everything({})
    before: set[str | None] = {None}
    for record in found:
        assert record.parent in before
        before.add(record.id)
    assert len(before) == len(found) + 1
    assert [record.name for record in found if record.kind == "phase"] == [
        "value",
        "preparation",
        "steps",
        "final",
    ]
    plan = read_document(whole.paths.phase("steps").plan) or {}
    keys = {f"trial:steps:{trial['key']}" for trial in plan["trials"]}
    assert {record.id for record in found if record.parent == "phase:steps"} == keys


def test_building_them_twice_changes_nothing(whole: StudyOutcome) -> None:
    made = tracked(whole.paths)
    assert made.everything({}) == made.everything({})
    assert made.changed((), {}) == []


def test_a_trial_says_all_of_its_settings_and_scores(whole: StudyOutcome) -> None:
    trial = named(records(whole.paths), "value-value=0.6")
    assert trial.status is Status.FINISHED
    assert trial.params["train.value"] == "0.6"
    assert trial.params["prepare.steps"] == "3"
    assert trial.params["train.fault"] == "none"
    assert trial.params["train.marker"] == ""
    assert trial.metrics["score"] == 0.6
    assert trial.metrics["prepare_score"] == 0.5
    assert "score_sem" not in trial.metrics
    parts = trial.metrics["prepare_time_min"] + trial.metrics["train_time_min"]
    assert trial.metrics["total_time_min"] == pytest.approx(parts)
    assert trial.started is not None
    assert trial.ended is not None
    assert trial.started <= trial.ended


def test_a_trial_says_how_it_stands(whole: StudyOutcome) -> None:
    found = records(whole.paths)
    for decision in whole.decisions.values():
        for verdict in decision["trials"]:
            tags = found[f"trial:{decision['phase']}:{verdict['key']}"].tags
            assert tags["standing"] == verdict["standing"]
            assert tags["feasible"] == "true"
            assert (tags["winner"] == "true") == (verdict["name"] == decision["winner"])
            assert (tags["phase"], tags["reused_from"], tags["superseded"]) == (
                decision["phase"],
                "",
                "false",
            )


def test_a_trial_has_the_rows_of_each_of_its_stages(whole: StudyOutcome) -> None:
    trial = named(records(whole.paths), "value-value=0.2")
    assert [(series.stage, list(series.steps)) for series in trial.series] == [
        ("prepare", [1, 2, 3]),
        ("train", [1, 2, 3]),
    ]
    for series in trial.series:
        assert [set(row) for row in series.metrics] == [{"chain"}] * 3
        assert list(series.times) == sorted(series.times)
        assert trial.started is not None
        assert trial.started < series.times[0]


def test_the_final_says_what_it_scored_on_the_test_data(whole: StudyOutcome) -> None:
    found = records(whole.paths)
    assert found["phase:final"].status is Status.FINISHED
    assert found["phase:final"].metrics["score"] == 0.25
    (final,) = (record for record in found.values() if record.parent == "phase:final")
    assert final.metrics["score"] == 0.25
    assert final.metrics["train_score"] == 0.6
    assert {"test_time_min", "train_time_min", "prepare_time_min"} < final.metrics.keys()


def test_the_study_says_who_won_what_it_took_and_hands_out_its_model(whole: StudyOutcome) -> None:
    study = records(whole.paths)["study"]
    assert (study.status, study.tags["complete"]) == (Status.FINISHED, "true")
    assert study.tags["objective"] == "max score on validation"
    assert study.tags["winner"] == whole.decisions["steps"]["winner"]
    assert study.tags["note"].startswith("Why?\n\nvalue: value-value=0.6 wins: ")
    assert (study.metrics["score"], study.metrics["test_score"]) == (0.6, 0.25)
    assert set(study.artifacts) == {"report.json", "analysis.txt"}
    assert (study.model, study.workload) == (whole.paths.model, "scripted")


def test_time_spent_counts_each_run_once_time_as_if_alone_in_each_trial(
    whole: StudyOutcome,
) -> None:
    found = records(whole.paths)
    executed = (read_document(whole.paths.provenance) or {})["invocations"][0]["executed"]
    spent = sum(run["spent_seconds"] for run in executed) / 60
    assert found["study"].metrics["spent_time_min"] == pytest.approx(spent)
    alone = sum(r.metrics["total_time_min"] for r in found.values() if r.kind == "trial")
    assert alone > spent


def test_a_phase_hands_out_its_decision_in_words_and_as_a_file(whole: StudyOutcome) -> None:
    phase = records(whole.paths)["phase:value"]
    assert (phase.tags["outcome"], phase.tags["winner"]) == ("won", "value-value=0.6")
    assert phase.tags["note"].startswith("value-value=0.6 wins: best score 0.6000")
    assert phase.artifacts == {"decision.json": whole.paths.phase("value").decision}
    assert phase.metrics["score"] == 0.6


def test_replicates_are_below_their_trial_and_have_its_rows(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    noisy = {"replicates": {"seeds": 2}, "params": {"train": {"noise": 0.3}}}
    outcome = run_study(scripted_study(**SMALL, **noisy), results=tmp_path, in_process=True)
    found = records(outcome.paths)
    trial = named(found, "value-value=0.6")
    below = [record for record in found.values() if record.parent == trial.id]
    first = trial.id.replace("trial", "replicate", 1)
    assert [record.id for record in below] == [f"{first}:0", f"{first}:1"]
    scores = [record.metrics["score"] for record in below]
    assert scores[0] != scores[1]
    assert trial.metrics["score"] == pytest.approx(sum(scores) / 2)
    assert trial.metrics["score_sem"] == pytest.approx(abs(scores[0] - scores[1]) / 2)
    assert trial.series == ()
    assert [len(record.series) for record in below] == [2, 2]
    assert below[1].params == {"seed_index": "1", "fold": "0"}


def test_a_failed_trial_says_why(scripted_study: StudyMaker, tmp_path: Path) -> None:
    points = [{"train.fault": fault} for fault in ("raise", "none")]
    fails = {**SMALL, "phases": [{"name": "value", "points": points}]}
    outcome = run_study(scripted_study(**fails), results=tmp_path, in_process=True)
    found = records(outcome.paths)
    failed = named(found, "value-fault=raise")
    assert failed.status is Status.FAILED
    assert (
        failed.tags["reason"] == "replicate 0: train failed: ValueError: scripted failure at step 1"
    )
    assert (failed.tags["standing"], failed.tags["feasible"]) == ("ineligible", "false")
    assert failed.metrics["prepare_score"] == 0.5
    assert "score" not in failed.metrics
    assert "total_time_min" not in failed.metrics
    assert [series.stage for series in failed.series] == ["prepare"]
    assert (found["study"].status, found["phase:value"].status) == (Status.FINISHED,) * 2


def test_secrets_in_settings_are_masked(scripted_study: StudyMaker, tmp_path: Path) -> None:
    here = set(Path().iterdir())
    secret = {"params": {"train": {"marker": f"{tmp_path}/token=abc123def456"}}}
    outcome = run_study(scripted_study(**SMALL, **secret), results=tmp_path, in_process=True)
    trial = named(records(outcome.paths), "value-value=0.6")
    assert trial.params["train.marker"] == f"{tmp_path}/token=***"
    assert set(Path().iterdir()) == here


def test_a_study_that_was_not_kept_yet_has_no_records(tmp_path: Path) -> None:
    assert records(ResultsPaths(tmp_path).study("none")) == {}
