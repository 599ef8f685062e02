"""What telling MLflow costs: how often its store is called, and how many connections that takes."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Forgotten, Status
from phasetune.tracking.mlflow import tracker as module
from phasetune.tracking.mlflow.store import bounded, mlflow_place
from phasetune.tracking.mlflow.tracker import MlflowTracker
from tracking_samples import STARTED, opened, put_database, results_below, series, trial_record

CALLS = ("create_run", "get_run", "log_batch", "set_tag", "update_run_info", "search_runs")
ENDED = {"status": Status.FINISHED, "ended": STARTED + 9, "params": {"a": "1"}}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ResultsPaths, StudyPaths]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    results, study = results_below(tmp_path)
    put_database(results.mlflow)
    return results, study


@pytest.fixture
def tracker(places: tuple[ResultsPaths, StudyPaths]) -> Iterator[MlflowTracker]:
    with closing(MlflowTracker(mlflow_place(None, places[0]), study=places[1])) as made:
        made.connect()
        yield made


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of MLflow's store, from here on."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    found: list[str] = []

    def counting(name: str) -> Any:
        inner = getattr(SqlAlchemyStore, name)

        def call(*args: Any, **more: Any) -> Any:
            found.append(name)
            return inner(*args, **more)

        return call

    for name in CALLS:
        monkeypatch.setattr(SqlAlchemyStore, name, counting(name))
    return found


def test_a_trial_that_is_done_already_is_three_calls(
    tracker: MlflowTracker, calls: list[str]
) -> None:
    _, phase, _ = opened(tracker)
    calls.clear()
    record = trial_record("k2", metrics={"accuracy": 0.5}, tags={"winner": ""}, **ENDED)
    handle = tracker.open(record, phase)
    assert tracker.last_steps(handle) == {}
    tracker.update(handle, record, told=None, series=[series([1, 2]), series([1], stage="test")])
    assert calls == ["create_run", "log_batch", "update_run_info"]
    calls.clear()
    record = trial_record("k2", metrics={"accuracy": 0.5}, tags={"winner": "true"}, **ENDED)
    for _ in range(2):
        tracker.update(handle, record, told=None)
    assert calls == ["log_batch"]
    assert tracker.last_steps(handle) == {"fit": 2, "test": 1}


def test_a_run_of_a_process_before_is_asked_for_once(
    tracker: MlflowTracker, calls: list[str]
) -> None:
    *_, trial = opened(tracker)
    tracker.connect()
    calls.clear()
    for winner in ("", "true", "false"):
        tracker.update(trial, trial_record(tags={"winner": winner}), told=None)
    assert calls == ["get_run", *["log_batch"] * 3]


def test_what_failed_on_its_way_is_asked_for_again(
    tracker: MlflowTracker, calls: list[str], tmp_path: Path
) -> None:
    *_, trial = opened(tracker)
    lost = trial_record(metrics={"accuracy": 0.5}, artifacts={"d.json": tmp_path / "gone.json"})
    with pytest.raises(Exception, match=r"gone\.json"):
        tracker.update(trial, lost, told=None)
    calls.clear()
    tracker.update(trial, trial_record(metrics={"accuracy": 0.5}), told=None)
    assert calls == ["get_run"]


def test_more_than_a_call_takes_keeps_steps_whole(tracker: MlflowTracker, calls: list[str]) -> None:
    *_, trial = opened(tracker)
    calls.clear()
    many = {f"class_{number}": 0.5 for number in range(300)}
    record = trial_record(params={f"p{number}": "1" for number in range(99)})
    tracker.update(trial, record, told=None, series=[series(range(1, 7), others=many)])
    assert calls.count("log_batch") == 3
    assert tracker.last_steps(trial) == {"fit": 6}


def test_connections_are_kept_and_left_with_the_file(
    tracker: MlflowTracker,
    places: tuple[ResultsPaths, StudyPaths],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handles, begun, connect = opened(tracker), list[str](), sqlite3.dbapi2.connect

    def counted(*args: Any, **more: Any) -> Any:
        begun.append(str(args[0]))
        return connect(*args, **more)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    for step in range(1, 20):
        tracker.log(handles[2], series([step]))
    assert begun == []
    assert str(places[0].mlflow) in held()
    places[0].mlflow.unlink()
    with pytest.raises(Forgotten):
        tracker.log(handles[2], series([20]))
    assert not any(str(places[0].mlflow) in name for name in held())


def held() -> list[str]:
    """The files that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue  # of this listing itself
    return found


def test_nothing_is_held_after_the_end(
    tracker: MlflowTracker, places: tuple[ResultsPaths, StudyPaths]
) -> None:
    opened(tracker)
    tracker.close()
    assert str(places[0].mlflow) not in held()


def test_the_environment_changes_at_the_first_connection_and_at_the_end_alone(
    places: tuple[ResultsPaths, StudyPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    times: list[str] = []

    def counted() -> Any:
        times.append("entered")
        return bounded()

    monkeypatch.setattr(module, "bounded", counted)
    before = dict(os.environ)
    tracker = MlflowTracker(mlflow_place(None, places[0]), study=places[1])
    for _ in range(3):
        tracker.connect()
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "15"
    tracker.close()
    assert times == ["entered"]
    assert dict(os.environ) == before
