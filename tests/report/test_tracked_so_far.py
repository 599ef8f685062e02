"""The records of a study that is not at its end: what runs, was stopped, failed or is gone."""

from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StudyOutcome, run_study
from phasetune.report.tracked.live import Live
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.documents import read_document
from phasetune.store.failures import Failure, FailureStore
from phasetune.tracking.contract import Status
from phasetune.tracking.memory import Remembered
from tracked import SMALL, named, records, tracked, undecided, without


@pytest.fixture(scope="module")
def small(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    """One phase of two trials; to read, not to change."""
    results = tmp_path_factory.mktemp("small") / "results"
    return run_study(scripted_study(**SMALL), results=results, in_process=True)


def test_a_trial_is_told_when_a_run_of_its_own_started_with_the_rows_so_far(
    small: StudyOutcome, tmp_path: Path
) -> None:
    paths, live = undecided(small, tmp_path), Live()
    key = without(paths, "value-value=0.6", "train")
    made = tracked(paths, live)
    made.resting = Status.RUNNING
    assert "value-value=0.6" not in [record.name for record in made.changed((), {})]
    live.start(key, at=100.0)
    live.report(key, 1, {"loss": 2.0}, at=101.0)
    live.report(key, 2, {"loss": 1.0}, at=102.0)
    live.report(key, 1, {"loss": 9.0}, at=103.0)
    (trial,) = made.changed({key}, {})
    assert (trial.name, trial.status, trial.ended) == ("value-value=0.6", Status.RUNNING, None)
    assert trial.tags["standing"] == trial.tags["feasible"] == ""
    prepared, trained = trial.series
    assert (prepared.stage, list(prepared.steps)) == ("prepare", [1, 2, 3])
    assert (trained.stage, trained.steps, trained.times) == ("train", (1, 2), (101.0, 102.0))
    made.resting = Status.KILLED
    (trial,) = made.changed({key}, {})
    assert trial.status is Status.KILLED


def test_a_shared_run_is_live_in_the_first_trial_alone(small: StudyOutcome, tmp_path: Path) -> None:
    paths, live = undecided(small, tmp_path), Live()
    for name in ("value-value=0.2", "value-value=0.6"):
        without(paths, name, "train")
    key = without(paths, "value-value=0.2", "prepare")
    live.start(key, at=100.0)
    live.report(key, 1, {"loss": 2.0}, at=101.0)
    made = tracked(paths, live)
    made.resting = Status.RUNNING
    trials = [record for record in made.changed({key}, {}) if record.kind == "trial"]
    assert [trial.name for trial in trials] == ["value-value=0.2"]


def test_what_a_shared_run_reports_is_built_for_its_first_trial_alone_its_end_for_all(
    small: StudyOutcome, tmp_path: Path
) -> None:
    paths, live = undecided(small, tmp_path), Live()
    key = without(paths, "value-value=0.2", "prepare")
    made = tracked(paths, live)
    made.resting = Status.RUNNING
    trials = [record for record in made.changed((), {}) if record.kind == "trial"]
    assert trials == []
    live.start(key, at=100.0)
    told = {
        f"trial:value:{trial['key']}": Remembered(
            kind="trial", name=trial["name"], parent="phase:value", handle="7"
        )
        for trial in (read_document(paths.phase("value").plan) or {})["trials"]
    }
    names = ["value-value=0.2", "value-value=0.6"]
    assert [record.name for record in made.changed({key}, told)] == names[:1]
    assert [record.name for record in made.changed({key}, told, ended={key})] == names


def test_a_shared_run_is_looked_up_once_for_all_trials(
    small: StudyOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    intact = ArtifactStore.intact

    def counted(store: ArtifactStore, stage: str, key: str) -> Artifact | None:
        asked.append(key)
        return intact(store, stage, key)

    monkeypatch.setattr(ArtifactStore, "intact", counted)
    assert len(records(small.paths)) == 4
    assert len(asked) == len(set(asked)) == 3


def test_a_trial_that_was_interrupted_ended_with_its_last_row(
    small: StudyOutcome, tmp_path: Path
) -> None:
    paths, live = undecided(small, tmp_path), Live()
    key, late = without(paths, "value-value=0.6", "train"), 1e10
    live.start(key, at=late)
    live.report(key, 1, {"loss": 2.0}, at=late + 5)
    live.rows[key].clear()
    trial = named({r.id: r for r in tracked(paths, live).everything({})}, "value-value=0.6")
    assert (trial.status, trial.ended) == (Status.KILLED, late + 5)


def test_what_no_driver_works_on_is_killed(small: StudyOutcome, tmp_path: Path) -> None:
    paths = undecided(small, tmp_path)
    found = records(paths)
    assert (found["study"].status, found["phase:value"].status) == (Status.KILLED,) * 2
    made = tracked(paths)
    made.resting = Status.FINISHED
    assert {record.status for record in made.everything({})} == {Status.FINISHED}


def test_a_failure_that_was_recorded_before_a_decision_counts(
    small: StudyOutcome, tmp_path: Path
) -> None:
    paths = undecided(small, tmp_path)
    key = without(paths, "value-value=0.6", "train")
    failure = Failure(stage="train", key=key, cause="error", message="token=abc123def456 is odd")
    FailureStore(paths.root.parent / "store").put(failure, "traceback")
    trial = named(records(paths), "value-value=0.6")
    assert trial.status is Status.FAILED
    assert trial.tags["reason"] == "train: token=*** is odd"


@pytest.mark.parametrize(
    ("told", "ends"), [(Status.RUNNING, Status.KILLED), (Status.FAILED, Status.FAILED)]
)
def test_what_is_in_no_plan_any_more_is_superseded(
    small: StudyOutcome, told: Status, ends: Status
) -> None:
    gone = Remembered(kind="trial", name="t", parent="phase:value", handle="7", status=told)
    record = records(small.paths, {"trial:value:gone": gone})["trial:value:gone"]
    assert (record.name, record.parent, record.status) == ("t", "phase:value", ends)
    assert record.tags == {"superseded": "true", "winner": "false"}
