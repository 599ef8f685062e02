"""What a study is told as after its driver died, its grid changed, or a store was lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TESTS
from followed import PREPARATION, WHOLE, go, small_study, told
from phasetune import Study, run_trial, sync
from phasetune.run.interrupt import Interrupted
from scripted_tracker import faults_of
from stored import StopsAt


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


DIES = """
import os, sys
from pathlib import Path
from phasetune import Study, run_study
from phasetune.run.events import RunReported

class Dies:
    left = int(sys.argv[3])
    def notify(self, event):
        if isinstance(event, RunReported):
            self.left -= 1
        if self.left == 0:
            os._exit(9)

study = Study.model_validate_json(Path(sys.argv[1]).read_text())
run_study(study, results=sys.argv[2], in_process=True, listener=Dies())
"""


def dies_at(report: int, study: Study, results: Path) -> None:
    """A driver that is gone in the middle of a step, without a word."""
    results.mkdir(exist_ok=True)
    file = results.parent / "study.json"
    file.write_text(study.model_dump_json(exclude_unset=True))
    command = [sys.executable, "-c", DIES, str(file), str(results), str(report)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr


def test_a_driver_that_died_twice_leaves_nothing_twice(tmp_path: Path, results: Path) -> None:
    alone = go(small_study(tracking="none"), tmp_path / "alone")
    for report in (5, 3):
        dies_at(report, small_study(), results)
    assert go(small_study(), results) == alone
    assert faults_of(told(results)) == []
    assert {known.status for known in told(results).values()} == {"FINISHED"}


def test_what_a_dead_driver_left_running_is_told_as_killed_and_goes_on(results: Path) -> None:
    dies_at(5, small_study(), results)
    sync(results)
    ended = {known.name: known.status for known in told(results).values()}
    assert ended == {"scripted": "KILLED", "value": "KILLED", "value-value=0.2": "KILLED"}
    go(small_study(), results)
    found = told(results)
    assert faults_of(found) == []
    assert found["study"].statuses[-2:] == ["RUNNING", "FINISHED"]


def test_a_study_that_was_stopped_is_killed_at_once_and_goes_on(results: Path) -> None:
    with pytest.raises(Interrupted):
        go(small_study(), results, listener=StopsAt(5))
    ended = {known.name: known.status for known in told(results).values()}
    assert ended == {"scripted": "KILLED", "value": "KILLED", "value-value=0.2": "KILLED"}
    go(small_study(), results)
    assert faults_of(told(results)) == []
    assert {known.status for known in told(results).values()} == {"FINISHED"}


def test_a_run_that_failed_and_is_tried_again_goes_on_with_its_record(
    results: Path, tmp_path: Path
) -> None:
    fault = {"fault": "raise", "fault_step": 2, "marker": str(tmp_path / "failed")}
    fails = small_study(params={"train": fault})
    go(fails, results)
    (failed,) = (known for known in told(results).values() if known.status == "FAILED")
    assert failed.tags["reason"].endswith("train failed: ValueError: scripted failure at step 2")
    go(fails, results, retry_failed=True)
    found = told(results)
    assert faults_of(found) == []
    assert {known.status for known in found.values()} == {"FINISHED"}
    (again,) = (known for known in found.values() if known.name == failed.name)
    assert (again.statuses[-1], again.tags["reason"]) == ("FINISHED", "")


def test_trials_of_a_changed_grid_are_superseded(results: Path) -> None:
    go(small_study(**WHOLE), results)
    changed = {"name": "value", "grid": {"train.value": [0.6, 0.8]}}
    go(small_study(**{**WHOLE, "phases": [changed, PREPARATION]}), results)
    found = told(results)
    assert faults_of(found) == []
    gone = {known.name for known in found.values() if known.tags.get("superseded") == "true"}
    assert gone == {"value-value=0.2", "preparation-value=0.5", "preparation-value=0.7", "final"}
    (winner,) = (known for known in found.values() if known.name == "value-value=0.8")
    assert winner.tags["winner"] == "true"


def test_a_second_study_says_from_which_one_its_runs_are(results: Path) -> None:
    go(small_study(), results)
    go(small_study(name="other"), results)
    found = told(results, "other")
    assert faults_of(found) == []
    trials = [known for known in found.values() if known.kind == "trial"]
    assert {known.tags["reused_from"] for known in trials} == {"scripted"}
    assert found["study"].metrics["spent_time_min"] == 0.0
    assert {known.steps["train"][-1] for known in trials} == {3}


def test_one_trial_alone_is_told(results: Path) -> None:
    run_trial(small_study(), "value-value=0.6", results=results, in_process=True)
    found = told(results)
    assert faults_of(found) == []
    assert {known.name for known in found.values()} == {"scripted", "value", "value-value=0.6"}
    assert found["study"].tags["complete"] == "false"


def test_an_emptied_store_is_built_anew(results: Path) -> None:
    go(small_study(), results)
    path = results / "scripted" / "tracking" / "records.jsonl"
    before = told(results)
    path.unlink()
    (synced,) = sync(results, wait=lambda seconds: None)
    assert (synced.records, synced.waiting, synced.reason) == (len(before), 0, "")
    after = told(results)
    assert faults_of(after) == []
    assert {name: known.metrics for name, known in after.items()} == {
        name: known.metrics for name, known in before.items()
    }
    assert {name: k.steps for name, k in after.items()} == {n: k.steps for n, k in before.items()}
