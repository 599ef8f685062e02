"""Event files as TensorBoard reads them: nothing doubled, nothing torn."""

import math
from pathlib import Path
from typing import Any

import pytest

from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Status, Unavailable
from phasetune.tracking.event_file import FILE, EventFile
from phasetune.tracking.tensorboard import TensorBoardTracker, tensorboard_folder
from tracking_samples import STARTED, opened, results_below, series, study_record, trial_record


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return results_below(tmp_path)[1]


def begun(study: StudyPaths, target: str | None = None) -> TensorBoardTracker:
    """What a new process would use."""
    tracker = TensorBoardTracker(tensorboard_folder(target, study), study=study)
    tracker.connect()
    return tracker


def file_of(study: StudyPaths, handle: str) -> Path:
    return study.tracking / "tensorboard" / handle / FILE


def scalars(file: Path, tag: str) -> list[tuple[int, float, float]]:
    """Step, value and time of each."""
    return [
        (event.step, value.simple_value, event.wall_time)
        for event in EventFile(file).events()
        for value in event.summary.value
        if value.tag == tag
    ]


def tags(file: Path) -> list[str]:
    return [value.tag for event in EventFile(file).events() for value in event.summary.value]


def test_folders_are_named_as_people_know_the_records(study: StudyPaths) -> None:
    assert opened(begun(study)) == ("one", "one/size", "one/size/k1")


def test_the_file_is_one_that_others_read(study: StudyPaths) -> None:
    tracker = begun(study)
    *_, trial = opened(tracker)
    tracker.log(trial, series([1, 2]))
    file = file_of(study, trial)
    assert next(EventFile(file).events()).file_version == "brain.Event:2"
    assert scalars(file, "fit/loss") == [(1, 1.0, STARTED + 1), (2, 0.5, STARTED + 2)]
    assert ".tfevents." in file.name


def test_a_process_that_goes_on_doubles_nothing(study: StudyPaths) -> None:
    record = trial_record(
        params={"fit.rate": "0.1", "fit.kind": "pca"},
        metrics={"accuracy": 0.5, "gone": math.nan, "much": math.inf},
        status=Status.FINISHED,
        ended=STARTED + 9,
    )
    for _ in range(2):
        tracker = begun(study)
        *_, trial = opened(tracker)
        if not tracker.last_steps(trial):
            tracker.log(trial, series([1, 2, 3]))
        tracker.update(trial, record, told=None)
        tracker.close()
    assert tracker.last_steps(trial) == {"fit": 3}
    found = tags(file_of(study, trial))
    assert sorted(found) == sorted(
        [*["fit/loss"] * 3, "accuracy", "gone", "much", "about/text_summary",
         "_hparams_/session_start_info", "_hparams_/session_end_info"]
    )  # fmt: skip


def test_any_torn_end_is_cut_off_and_written_again(study: StudyPaths) -> None:
    tracker = begun(study)
    *_, trial = opened(tracker)
    tracker.log(trial, series([1, 2]))
    file = file_of(study, trial)
    whole = file.read_bytes()
    for length in range(0, len(whole), 3):
        file.write_bytes(whole[:length])
        again = begun(study)
        last = again.last_steps(trial).get("fit", 0)
        again.log(trial, series(range(last + 1, 4)))
        assert [step for step, *_ in scalars(file, "fit/loss")] == [1, 2, 3]


def test_a_flipped_byte_ends_what_is_read(study: StudyPaths) -> None:
    tracker = begun(study)
    *_, trial = opened(tracker)
    tracker.log(trial, series([1, 2]))
    content = bytearray(file_of(study, trial).read_bytes())
    content[-6] ^= 1
    file_of(study, trial).write_bytes(content)
    assert begun(study).last_steps(trial) == {"fit": 1}


def test_another_value_is_a_step_behind_the_one_before(study: StudyPaths) -> None:
    tracker = begun(study)
    handle = tracker.open(study_record(), None)
    for value in (0.5, 0.5, 0.25):
        tracker.update(handle, study_record(metrics={"accuracy": value}, ended=7.0), told=None)
    assert scalars(file_of(study, handle), "accuracy") == [(0, 0.5, 7.0), (1, 0.25, 7.0)]


@pytest.mark.parametrize(
    ("statuses", "ends"),
    [
        ([Status.RUNNING], 0),
        ([Status.FINISHED, Status.FINISHED], 1),
        ([Status.KILLED, Status.RUNNING, Status.FINISHED], 2),
    ],
)
def test_the_end_of_a_trial_is_told_when_it_changes(
    statuses: list[Status], ends: int, study: StudyPaths
) -> None:
    tracker = begun(study)
    *_, trial = opened(tracker)
    for status in statuses:
        tracker.update(trial, trial_record(status=status, ended=7.0), told=None)
    assert tags(file_of(study, trial)).count("_hparams_/session_end_info") == ends


def test_two_records_of_one_name_have_two_folders(study: StudyPaths) -> None:
    tracker = begun(study)
    *_, phase, trial = opened(tracker)
    other = tracker.open(trial_record("k2", name="k1"), phase)
    assert other.startswith("one/size/k1-")
    again = begun(study)
    assert again.open(trial_record("k2", name="k1"), phase) == other
    assert again.open(trial_record("k1"), phase) == trial


def test_two_results_may_share_a_folder(study: StudyPaths, tmp_path: Path) -> None:
    shared, other = str(tmp_path / "shared"), results_below(tmp_path / "other")[1]
    mine, theirs = opened(begun(study, shared)), opened(begun(other, shared))
    assert not set(mine) & set(theirs)
    assert opened(begun(other, shared)) == theirs


def test_names_can_not_leave_the_folder(study: StudyPaths) -> None:
    assert begun(study).open(study_record(name="../../up/x"), None) == "_.._up_x"


def test_files_that_are_gone_are_forgotten(study: StudyPaths) -> None:
    tracker = begun(study)
    *_, trial = opened(tracker)
    file_of(study, trial).unlink()
    calls: list[Any] = [
        lambda: tracker.last_steps(trial),
        lambda: tracker.log(trial, series([1])),
        lambda: tracker.update(trial, trial_record(), told=None),
    ]
    for call in calls:
        with pytest.raises(Forgotten, match="is gone"):
            call()
    assert opened(begun(study))[2] == trial
    assert tracker.last_steps(trial) == {}


def test_a_place_that_can_t_be_written_is_unavailable(study: StudyPaths, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tracker = begun(study, str(tmp_path / "file/below"))
    with pytest.raises(Unavailable, match="TensorBoard's files in"):
        tracker.open(study_record(), None)
    tracker.close()
