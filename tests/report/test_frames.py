"""Studies as DataFrames."""

import math
import shutil
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


def test_with_replicates_a_trial_has_one_row_and_its_error(ran: Runner, results: Path) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    ran(params={"train": {"noise": 0.1}}, replicates={"folds": 3}, phases=phases)
    frame = trials_frame(results)
    assert len(frame) == 2
    assert (frame["replicates"] == 3).all()
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
    assert (frame["state"] == "done").all()
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
    assert list(frame["state"]) == ["failed", "not_run", "done", "done"]
    assert frame["failure"].iloc[0] == "ValueError: scripted failure at step 1"
    assert frame["failure"].iloc[1:].isna().all()
    bad = trials_frame(results).iloc[0]
    assert bad["standing"] == "ineligible"
    assert math.isnan(bad["score"])


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


@pytest.mark.parametrize("fault", ["none", "nan", "raise"])
def test_parquet_is_what_the_frame_says(ran: Runner, results: Path, fault: str) -> None:
    points: list[dict[str, Any]] = [
        {"train.fault": fault, "train.steps": 2, "note": "odd"},
        {"train.value": 0.1},
    ]
    two = [
        {"name": "one", "points": points},
        {"name": "two", "grid": {"train.steps": [4]}},
    ]
    outcome = ran(phases=two)
    for frame, kept in ((trials_frame(results), "trials"), (history_frame(results), "history")):
        whole = frame[frame["phase"] == "one"].dropna(axis="columns", how="all")
        phase = pd.read_parquet(getattr(outcome.paths.phase("one"), kept))
        pd.testing.assert_frame_equal(
            phase.dropna(axis="columns", how="all"), whole, check_dtype=False, check_like=True
        )


def test_trials_are_read_from_the_phase_s_table_alone(ran: Runner, results: Path) -> None:
    outcome = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    before = trials_frame(results)
    shutil.rmtree(results / "store")
    pd.testing.assert_frame_equal(trials_frame(results), before)
    pd.testing.assert_frame_equal(outcome.phases["one"].trials, before, check_names=False)


@pytest.mark.parametrize(
    ("document", "column", "before", "now"),
    [("decision", "standing", '"feasible"', "infeasible"), ("plan", "note", "null", "odd")],
)
def test_a_table_that_was_made_from_other_documents_is_not_read(
    ran: Runner, results: Path, document: str, column: str, before: str, now: str
) -> None:
    paths = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]).paths.phase("one")
    path: Path = getattr(paths, document)
    path.write_text(path.read_text().replace(f'"{column}": {before}', f'"{column}": "{now}"'))
    assert list(trials_frame(results)[column]) == [now] * 2


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
