"""Studies as DataFrames."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from phasetune import StoreError, StudyOutcome
from phasetune.report.frames import history_frame, runs_frame, trials_frame
from report.conftest import Runner


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def test_one_row_per_trial_and_phase(whole: StudyOutcome) -> None:
    frame = trials_frame(whole.paths.root.parent)
    assert list(frame["phase"]) == ["value"] * 4 + ["preparation"] * 3 + ["steps"] * 3
    assert frame["trial"].is_unique
    assert list(frame.loc[frame["is_winner"], "trial"]) == [
        "value-value=0.6",
        "preparation-value=0.5",
        "steps-steps=3",
    ]
    assert list(frame.loc[frame["baseline"], "candidate"]) == [False] * 3
    first = frame.iloc[0]
    assert (first["study"], first["standing"], first["replicates"]) == ("scripted", "feasible", 1)
    assert (first["train.value"], first["score"]) == (0.2, 0.2)
    assert first["margin: other >= 0.3"] == pytest.approx(0.7)
    assert math.isnan(first["score_sem"])
    assert {"reason", "note", "total_time_min"} < set(frame.columns)
    assert set(frame["status"]) == {"done"}
    assert frame["feasible"].all()
    assert set(frame["device"]) == {"cpu"}
    assert all((Path(path) / "results.json").is_file() for path in frame["path"])


def test_with_replicates_a_trial_has_one_row_and_its_error(ran: Runner, results: Path) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    ran(params={"train": {"noise": 0.1}}, replicates={"folds": 3}, phases=phases)
    frame = trials_frame(results)
    assert len(frame) == 2
    assert (frame["replicates"] == 3).all()
    assert (frame["replicates_done"] == 3).all()
    assert (frame["score_sem"] > 0).all()


def test_one_row_per_run_of_each_replicate(ran: Runner, results: Path) -> None:
    ran(replicates={"folds": 2}, phases=[{"name": "value", "grid": {"train.value": [1, 2, 3]}}])
    frame = runs_frame(results)
    assert len(frame) == 3 * 2 * 2
    assert list(frame.columns[:7]) == [
        "study",
        "phase",
        "trial",
        "replicate",
        "seed_index",
        "fold",
        "stage",
    ]
    shared = frame[(frame["phase"] == "value") & (frame["stage"] == "prepare")]
    assert (len(shared), shared["key"].nunique()) == (3 * 2, 1)
    trained = frame[frame["stage"] == "train"]
    assert list(trained["fold"][:2]) == [0, 1]
    assert trained["key"].nunique() == 3 * 2
    assert all((Path(path) / "manifest.json").exists() for path in frame["path"])
    assert (frame["status"] == "done").all()
    assert (frame["seconds"] >= 0).all()


def test_one_row_per_distinct_run_and_step(whole: StudyOutcome) -> None:
    frame = history_frame(whole.paths.root.parent)
    assert list(frame.columns) == ["study", "phase", "trial", "stage", "key", "step", "chain"]
    lengths = frame.groupby("key")["step"].apply(list)
    assert list(lengths[lengths.map(len) == 4]) == [[1, 2, 3, 4]]
    assert (lengths.map(len) == 3).sum() == 1 + 3 + 1 + 1 + 1
    assert frame["step"].dtype == "int64"


def test_failed_runs_and_what_they_keep_from_running(ran: Runner, results: Path) -> None:
    points: list[dict[str, Any]] = [{"prepare.fault": "raise"}, {"train.value": 0.1}]
    ran(phases=[{"name": "one", "points": points}])
    frame = runs_frame(results).set_index("stage")
    assert list(frame["status"]) == ["failed", "not_run", "done", "done"]
    assert frame["failure"].iloc[0] == "ValueError: scripted failure at step 1"
    assert frame["failure"].iloc[1:].isna().all()
    trials = trials_frame(results)
    assert list(trials["status"]) == ["failed", "done"]
    assert list(trials["standing"]) == ["ineligible", "feasible"]
    assert (trials["feasible"].isna()[0], trials["feasible"][1]) == (True, True)
    assert list(trials["replicates_done"]) == [0, 1]
    assert list(trials[["score", "seconds", "device"]].isna().all(axis=1)) == [True, False]


def test_a_replicate_that_failed_is_not_counted(ran: Runner, results: Path, tmp_path: Path) -> None:
    once: dict[str, Any] = {"train.fault": "raise", "train.marker": str(tmp_path / "happened")}
    ran(replicates={"folds": 3}, phases=[{"name": "one", "points": [once, {}]}])
    bad = trials_frame(results).iloc[0]
    assert (bad["status"], bad["replicates"], bad["replicates_done"]) == ("failed", 3, 2)
    assert bad["score"] == 0.5
    assert math.isnan(bad["seconds"])


def test_seconds_count_each_run_of_all_replicates_once(ran: Runner, results: Path) -> None:
    ran(replicates={"folds": 2}, phases=[{"name": "one", "points": [{}]}])
    runs = runs_frame(results)
    trained = runs[runs["stage"] == "train"]["seconds"]
    prepared = runs[runs["stage"] == "prepare"]["seconds"]
    assert prepared.nunique() == 1
    expected = trained.sum() + prepared.iloc[0]
    assert trials_frame(results)["seconds"][0] == pytest.approx(expected)


def test_what_an_earlier_phase_or_another_study_computed_is_reused(
    ran: Runner, results: Path
) -> None:
    two = [
        {"name": "value", "grid": {"train.value": [0.2, 0.6]}},
        {"name": "steps", "grid": {"train.steps": [3, 4]}},
    ]
    ran(phases=two)
    ran(name="again", phases=two)
    assert list(trials_frame(results, "scripted")["reused"]) == [False, False, True, False]
    assert trials_frame(results, "again")["reused"].all()
    last = runs_frame(results, "scripted").tail(4)
    assert list(zip(last["stage"], last["reused"], strict=True)) == [
        ("prepare", True),
        ("train", True),
        ("prepare", True),
        ("train", False),
    ]


def test_a_study_without_a_decision_has_frames_with_columns_of_the_same_types(
    ran: Runner, results: Path
) -> None:
    paths = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]).paths
    frames = (trials_frame, runs_frame, history_frame)
    before = [frame(results) for frame in frames]
    paths.phase("one").decision.unlink()
    for full, empty in zip(before, (frame(results) for frame in frames), strict=True):
        assert len(full)
        assert empty.empty
        pd.testing.assert_series_equal(full.dtypes[empty.columns], empty.dtypes)
        assert len(empty.columns) >= 6


def test_studies_with_other_parameters_keep_their_types(ran: Runner, results: Path) -> None:
    ran(name="one", phases=[{"name": "only", "grid": {"train.steps": [2, 3]}}])
    ran(
        name="two",
        workload="stages_of_frames",
        objective={"metric": "found"},
        constraints=[],
        phases=[{"name": "only", "points": [{}]}],
    )
    frame = trials_frame(results)
    assert frame["train.steps"].dtype == "Int64"
    assert list(frame["train.steps"].isna()) == [False, False, True]
    parameters = frame.iloc[2].filter(like="look.")
    assert parameters.to_dict() == {
        "look.depth": 3,
        "look.is_fast": True,
        "look.layers": "[8, 4]",
        "look.password": "***",
        "look.rate": math.inf,
        "look.share": "sqrt",
    }
    dtypes = {name: str(frame[f"look.{name}"].dtype) for name in ("depth", "is_fast", "rate")}
    assert dtypes == {"depth": "Int64", "is_fast": "boolean", "rate": "float64"}
    assert frame["metric_note"][2] == 1.0
    assert math.isnan(frame["metric_seconds"][2])


def test_a_metric_that_is_no_number_is_nan(ran: Runner, results: Path) -> None:
    points: list[dict[str, Any]] = [{"train.fault": "nan"}, {"train.value": 0.1}]
    ran(phases=[{"name": "one", "points": points}])
    frame = trials_frame(results)
    assert frame["score"].dtype == "float64"
    assert math.isnan(frame["score"][0])
    assert frame["score"][1] == 0.1
    assert math.isnan(runs_frame(results)["score"][1])


def test_a_study_without_history_has_an_empty_frame(ran: Runner, results: Path) -> None:
    silent = {"steps": 0}
    outcome = ran(
        params={"prepare": silent, "train": silent, "test": silent},
        phases=[{"name": "one", "points": [{}]}],
    )
    assert history_frame(results).empty
    assert pd.read_parquet(outcome.paths.phase("one").history).empty
    assert len(trials_frame(results)) == 1


def test_a_phase_without_a_decision_has_no_trials(ran: Runner, results: Path) -> None:
    two = [{"name": name, "grid": {f"train.{name}": [0.2, 0.6]}} for name in ("value", "other")]
    paths = ran(phases=two).paths
    paths.phase("value").decision.unlink()
    assert list(trials_frame(results)["phase"]) == ["other"] * 2
    paths.phase("other").decision.unlink()
    assert trials_frame(results).empty


def test_studies_are_together_or_alone(ran: Runner, results: Path) -> None:
    for name in ("one", "two"):
        ran(name=name, phases=[{"name": "only", "points": [{}]}])
    assert list(trials_frame(results)["study"]) == ["one", "two"]
    assert list(runs_frame(results, "two")["study"].unique()) == ["two"]
    with pytest.raises(StoreError, match="holds no study 'three'"):
        history_frame(results, "three")


def test_a_shared_run_is_told_from_who_computed_it(ran: Runner, results: Path) -> None:
    for name in ("first", "second"):
        ran(name=name, phases=[{"name": "only", "points": [{}]}])
    assert set(runs_frame(results, "second")["computed_by"]) == {"first"}
