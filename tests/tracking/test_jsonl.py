from pathlib import Path

import pytest

from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series, Status, Unavailable
from phasetune.tracking.jsonl import JsonlTracker, jsonl_file
from scripted_tracker import records_of

STUDY = Record(id="study", parent=None, kind="study", name="scripted", status=Status.RUNNING)
SERIES = Series(stage="fit", steps=(1, 2), metrics=({"loss": 2.0}, {"loss": 1.0}), times=(1.0, 2.0))


def tracker(path: Path, study: str = "scripted") -> JsonlTracker:
    made = JsonlTracker(path, study=StudyPaths(path.parent / study))
    made.connect()
    return made


def test_each_call_is_a_line_that_says_all(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    first = tracker(path)
    handle = first.open(STUDY, None)
    first.log(handle, SERIES)
    first.update(handle, STUDY, told=None)
    first.close()
    assert len(path.read_text().splitlines()) == 3
    found = records_of(path)["study"]
    assert (found.kind, found.name, found.parent, found.status) == (
        "study",
        "scripted",
        None,
        "RUNNING",
    )
    assert found.steps == {"fit": [1, 2]}
    assert found.rows == {"fit": [{"loss": 2.0}, {"loss": 1.0}]}


def test_a_record_is_found_again_with_its_last_steps(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    first = tracker(path)
    handle = first.open(STUDY, None)
    first.log(handle, SERIES)
    again = tracker(path)
    assert again.open(STUDY, None) == handle
    assert again.last_steps(handle) == {"fit": 2}
    assert records_of(path)["study"].times_opened == 1


def test_studies_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    first, second = tracker(path, "one"), tracker(path, "two")
    first.log(first.open(STUDY, None), SERIES)
    handle = second.open(STUDY, None)
    assert second.last_steps(handle) == {}
    assert tracker(path, "one").last_steps("study") == {"fit": 2}
    assert tracker(path, "two").last_steps("study") == {}


def test_a_file_that_is_gone_has_no_record(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    first = tracker(path)
    handle = first.open(STUDY, None)
    path.unlink()
    with pytest.raises(Forgotten, match=r"records\.jsonl has no record 'study'"):
        tracker(path).last_steps(handle)


def test_a_folder_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="can't be written"):
        tracker(tmp_path / "file" / "records.jsonl").open(STUDY, None)


def test_the_usual_place_is_in_the_study(tmp_path: Path) -> None:
    study = StudyPaths(tmp_path / "s")
    assert jsonl_file(None, study) == tmp_path / "s" / "tracking" / "records.jsonl"
    assert jsonl_file(str(tmp_path / "x.jsonl"), study) == tmp_path / "x.jsonl"
