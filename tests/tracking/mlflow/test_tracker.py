"""Runs as MLflow has them afterwards, whatever happened in between; on a database of its own."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest

from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Forgotten, Status, Unavailable
from phasetune.tracking.mlflow.store import mlflow_place
from phasetune.tracking.mlflow.tracker import MlflowTracker
from tracking_samples import (
    STARTED,
    opened,
    put_database,
    results_below,
    series,
    study_record,
    trial_record,
)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ResultsPaths, StudyPaths]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    results, study = results_below(tmp_path)
    put_database(results.mlflow)
    return results, study


def begun(places: tuple[ResultsPaths, StudyPaths], target: str | None = None) -> MlflowTracker:
    """What a new process would use."""
    tracker = MlflowTracker(mlflow_place(target, places[0]), study=places[1])
    tracker.connect()
    return tracker


@pytest.fixture
def tracker(places: tuple[ResultsPaths, StudyPaths]) -> Iterator[MlflowTracker]:
    with closing(begun(places)) as made:
        yield made


@pytest.fixture
def client(places: tuple[ResultsPaths, StudyPaths], tracker: MlflowTracker) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{places[0].mlflow}")


def runs(client: Any, view: int = 1) -> list[Any]:
    experiment = client.get_experiment_by_name("one")
    return list(client.search_runs([experiment.experiment_id], run_view_type=view))


def test_a_run_below_a_run_below_a_run(tracker: MlflowTracker, client: Any) -> None:
    study, phase, trial = opened(tracker)
    found = {run.info.run_id: run for run in runs(client)}
    assert set(found) == {study, phase, trial}
    assert found[phase].data.tags["mlflow.parentRunId"] == study
    assert found[trial].data.tags["mlflow.parentRunId"] == phase
    assert found[trial].data.tags["phasetune.record"] == "one/trial:size:k1"
    assert found[trial].data.tags["phasetune.kind"] == "trial"
    assert (found[trial].info.run_name, found[trial].info.status) == ("k1", "RUNNING")
    assert found[study].info.start_time == STARTED * 1000


def test_artifacts_of_the_experiment_are_in_the_results(
    tracker: MlflowTracker, client: Any, places: tuple[ResultsPaths, StudyPaths]
) -> None:
    location = client.get_experiment_by_name("one").artifact_location
    assert location == (places[0].mlflow_artifacts / "one").as_uri()


def test_what_a_record_says_is_what_the_run_has(
    tracker: MlflowTracker, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "d.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.txt").write_text("a")
    handle = tracker.open(study_record(), None)
    record = study_record(
        status=Status.FINISHED,
        ended=STARTED + 60,
        params={"fit.rate": "0.1", "odd@": "x" * 6001},
        tags={"git_commit": "abc", "note": "it is won", "winner": "true"},
        metrics={"accuracy": 0.5, "gone": math.nan, "much": math.inf, "less": -math.inf},
        artifacts={"phases/size/decision.json": tmp_path / "d.json", "folder": tmp_path / "folder"},
    )
    tracker.update(handle, record, told=None)
    run = client.get_run(handle)
    assert (run.info.status, run.info.end_time) == ("FINISHED", (STARTED + 60) * 1000)
    assert run.data.params["fit.rate"] == "0.1"
    assert any(name.startswith("odd_-") for name in run.data.params)
    assert run.data.tags["mlflow.source.git.commit"] == "abc"
    assert run.data.tags["mlflow.note.content"] == "it is won"
    assert run.data.tags["phasetune.winner"] == "true"
    assert run.data.metrics["accuracy"] == 0.5
    assert math.isnan(run.data.metrics["gone"])
    assert (run.data.metrics["much"], run.data.metrics["less"]) == (
        1.7976931348623157e308,
        -1.7976931348623157e308,
    )
    names = {entry.path for entry in client.list_artifacts(handle)}
    assert names == {"phases", "folder", "phasetune"}
    assert S_IMODE((tmp_path / "results/mlartifacts").stat().st_mode) == 0o700
    assert [e.path for e in client.list_artifacts(handle, "phases/size")] == [
        "phases/size/decision.json"
    ]


def test_telling_twice_changes_nothing(
    tracker: MlflowTracker, client: Any, places: tuple[ResultsPaths, StudyPaths], tmp_path: Path
) -> None:
    file = tmp_path / "d.json"
    file.write_text("{}")
    record = trial_record(
        params={"a": "1"},
        metrics={"accuracy": 0.5, "gone": math.nan, "much": math.inf},
        status=Status.FINISHED,
        ended=STARTED + 9,
        artifacts={"d.json": file},
    )
    handles = opened(tracker)
    tracker.log(handles[2], series([1, 2, 3]))
    tracker.update(handles[2], record, told=None)
    before = everything(places[0].mlflow)
    with closing(begun(places)) as again:
        assert opened(again) == handles
        again.log(handles[2], series([1, 2, 3]))
        again.update(handles[2], record, told=None)
    assert everything(places[0].mlflow) == before


_ALL = "SELECT * FROM "


def everything(file: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return [
            row
            for table in ("runs", "metrics", "params", "tags")
            for row in sorted(database.execute(_ALL + table), key=repr)
        ]


def test_another_value_replaces_the_one_before(tracker: MlflowTracker, client: Any) -> None:
    handle = tracker.open(study_record(), None)
    for value in (0.9, 0.5, math.nan):
        tracker.update(handle, study_record(metrics={"accuracy": value}), told=None)
    history = client.get_metric_history(handle, "accuracy")
    assert [metric.step for metric in history] == [0, 1, 2]
    assert math.isnan(client.get_run(handle).data.metrics["accuracy"])


def test_a_study_that_goes_on_runs_again_and_ends_again(
    tracker: MlflowTracker, client: Any
) -> None:
    handle = tracker.open(study_record(), None)
    for status in (Status.KILLED, Status.RUNNING, Status.FINISHED):
        tracker.update(handle, study_record(status=status, ended=STARTED + 1), told=None)
        assert client.get_run(handle).info.status == status


def test_last_steps_are_those_of_the_store(tracker: MlflowTracker) -> None:
    *_, trial = opened(tracker)
    assert tracker.last_steps(trial) == {}
    tracker.log(trial, series([1, 2, 3]))
    tracker.log(trial, series([1, 2], stage="pretrain", others={"other": math.nan}))
    tracker.update(trial, trial_record(metrics={"accuracy": 1.0}), told=None)
    assert tracker.last_steps(trial) == {"fit": 3, "pretrain": 2}


def test_more_metrics_than_a_call_takes(tracker: MlflowTracker, client: Any) -> None:
    *_, trial = opened(tracker)
    many = {f"class_{number}": 0.5 for number in range(300)}
    tracker.log(trial, series(range(1, 8), others=many))
    assert [m.step for m in client.get_metric_history(trial, "fit/class_299")] == [*range(1, 8)]


def test_a_run_that_was_deleted_is_forgotten_and_comes_back(
    tracker: MlflowTracker, client: Any, places: tuple[ResultsPaths, StudyPaths]
) -> None:
    handles = opened(tracker)
    client.delete_run(handles[2])
    for call in (
        lambda: tracker.log(handles[2], series([1])),
        lambda: tracker.last_steps(handles[2]),
        lambda: tracker.update(handles[2], trial_record(), told=None),
    ):
        with pytest.raises(Forgotten):
            call()
    with closing(begun(places)) as again:
        assert opened(again) == handles
        again.log(handles[2], series([1]))
    assert len(runs(client, view=3)) == 3


def test_an_experiment_that_was_deleted_comes_back(tracker: MlflowTracker, client: Any) -> None:
    handles = opened(tracker)
    client.delete_experiment(client.get_experiment_by_name("one").experiment_id)
    with pytest.raises(Forgotten):
        tracker.open(trial_record("k2"), handles[1])
    assert opened(tracker) == handles
    assert {run.info.lifecycle_stage for run in runs(client)} == {"active"}


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_a_database_that_lost_all_is_forgotten_and_told_again(
    how: str, tracker: MlflowTracker, places: tuple[ResultsPaths, StudyPaths]
) -> None:
    handles, file = opened(tracker), places[0].mlflow
    if how == "emptied":
        with closing(sqlite3.connect(file)) as database:
            database.executescript("DELETE FROM tags; DELETE FROM latest_metrics; DELETE FROM runs")
    else:
        file.unlink()
        if how == "replaced":
            put_database(file)
    with pytest.raises(Forgotten):
        tracker.log(handles[2], series([1]))
    if how == "deleted":
        put_database(file)  # `connect` would make one, in seconds
    tracker.connect()
    again = opened(tracker)
    assert not set(again) & set(handles)
    tracker.log(again[2], series([1]))


def test_handles_of_another_database_are_forgotten(tracker: MlflowTracker) -> None:
    with pytest.raises(Forgotten):
        tracker.last_steps("0" * 32)


def test_two_results_that_share_a_store_have_runs_of_their_own(
    places: tuple[ResultsPaths, StudyPaths], tmp_path: Path
) -> None:
    shared = tmp_path / "shared.db"
    put_database(shared)
    other = results_below(tmp_path / "other")
    with (
        closing(begun(places, f"sqlite:///{shared}")) as one,
        closing(begun(other, f"sqlite:///{shared}")) as two,
    ):
        mine, theirs = opened(one), opened(two)
        assert not set(mine) & set(theirs)
    with closing(begun(other, f"sqlite:///{shared}")) as again:
        assert opened(again) == theirs


def test_a_database_that_nobody_may_write_is_unavailable(
    tracker: MlflowTracker, places: tuple[ResultsPaths, StudyPaths], capfd: Any
) -> None:
    handle = tracker.open(study_record(), None)
    with closing(sqlite3.connect(places[0].mlflow)) as database:
        database.executescript(
            "CREATE TRIGGER full BEFORE INSERT ON metrics "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        with pytest.raises(Unavailable, match=r"MLflow at sqlite:.*disk is full"):
            tracker.update(handle, study_record(metrics={"a": 1.0}), told=None)
        database.execute("DROP TRIGGER full")
    tracker.connect()
    tracker.update(handle, study_record(metrics={"a": 1.0}), told=None)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "odd.db").write_text("no database" * 100)
    tracker = MlflowTracker(
        mlflow_place(f"sqlite:///{tmp_path}/odd.db", results_below(tmp_path)[0]),
        study=results_below(tmp_path)[1],
    )
    with closing(tracker), pytest.raises(Unavailable, match="file is not a database"):
        tracker.connect()
