from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Record, Status
from phasetune.tracking.memory import Memory, record_digest

TRIAL = Record(id="trial:a:1", parent="phase:a", kind="trial", name="t", status=Status.RUNNING)
ENDED = replace(TRIAL, status=Status.FINISHED)


def memory(folder: Path, place: str = "here") -> Memory:
    return Memory(StudyPaths(folder), tracker="mlflow", place=place)


def test_what_was_told_is_known_to_the_next_process(tmp_path: Path) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.reach_step(TRIAL.id, "fit", 3)
    first.reach_step(TRIAL.id, "fit", 5)
    first.update(ENDED)
    first.reach(120)
    first.close()
    again = memory(tmp_path)
    found = again.records[TRIAL.id]
    assert (found.handle, found.name, found.kind, found.parent) == (
        "run 7",
        "t",
        "trial",
        "phase:a",
    )
    assert (found.steps, found.status) == ({"fit": 5}, Status.FINISHED)
    assert found.digest == record_digest(ENDED)
    assert (again.position, again.is_complete) == (120, False)


def test_each_place_of_a_tracker_has_a_memory_of_its_own(tmp_path: Path) -> None:
    memory(tmp_path, "here").begin(TRIAL, "run 7")
    assert memory(tmp_path, "there").records == {}


def test_it_is_complete_until_something_else_is_told(tmp_path: Path) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.complete()
    assert memory(tmp_path).is_complete
    first.update(ENDED)
    assert not memory(tmp_path).is_complete


def test_a_store_that_lost_all_is_forgotten_as_a_whole(tmp_path: Path) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.reach(9)
    first.drop()
    assert (first.records, first.position) == ({}, 0)
    assert memory(tmp_path).records == {}
    first.begin(TRIAL, "run 8")
    assert memory(tmp_path).records[TRIAL.id].handle == "run 8"


def test_any_torn_end_is_passed_over_and_what_follows_is_read(tmp_path: Path) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.reach_step(TRIAL.id, "fit", 3)
    first.reach(120)
    first.close()
    whole = first.path.read_bytes()
    for length in range(len(whole)):
        first.path.write_bytes(whole[:length])
        torn = memory(tmp_path)
        assert torn.position in (0, 120)
        torn.begin(TRIAL, "run 8")
        torn.close()
        assert memory(tmp_path).records[TRIAL.id].handle == "run 8"


@pytest.mark.parametrize(
    "line",
    [
        "7",
        "{}",
        '{"id": "unknown", "steps": {"fit": 3}}',
        '{"id": "trial:a:1", "handle": "x", "kind": "odd", "name": "t", "parent": null}',
        '{"id": "trial:a:1", "handle": "x"}',
        '{"id": "trial:a:1", "status": "ODD"}',
        '{"id": ["a"], "steps": 3}',
        '{"position": "far"}',
    ],
)
def test_a_line_of_another_shape_changes_nothing(tmp_path: Path, line: str) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.reach(9)
    first.close()
    with first.path.open("a") as file:
        file.write(line + "\n")
    again = memory(tmp_path)
    assert (again.records[TRIAL.id].handle, again.position) == ("run 7", 9)
    assert again.records[TRIAL.id].status is Status.RUNNING


def test_a_long_file_is_written_anew_and_says_the_same(tmp_path: Path) -> None:
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    for step in range(1000):
        first.reach_step(TRIAL.id, "fit", step)
    first.update(ENDED)
    first.reach(77)
    first.complete()
    first.close()
    before = first.path.stat().st_size
    again = memory(tmp_path)
    assert first.path.stat().st_size < before / 20
    later = memory(tmp_path)
    assert (later.records, later.position) == (again.records, again.position) != ({}, 0)
    assert later.records[TRIAL.id].steps == {"fit": 999}
    assert later.is_complete


def test_a_disk_that_refuses_loses_the_memory_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tracking").write_text("no folder")
    first = memory(tmp_path)
    first.begin(TRIAL, "run 7")
    first.reach(5)
    assert (first.records[TRIAL.id].handle, first.position) == ("run 7", 5)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: replace(record, status=Status.FAILED),
        lambda record: replace(record, tags={"winner": "true"}),
        lambda record: replace(record, metrics={"score": 1.0}),
        lambda record: replace(record, metrics={"score": float("nan")}),
        lambda record: replace(record, params={"fit.rate": "1"}),
        lambda record: replace(record, ended=7.0),
        lambda record: replace(record, name="u"),
    ],
)
def test_what_a_record_says_changes_its_digest(change: Callable[[Record], Record]) -> None:
    assert record_digest(change(TRIAL)) != record_digest(TRIAL)
    assert record_digest(change(TRIAL)) == record_digest(change(TRIAL))


def test_a_file_or_folder_that_is_written_anew_changes_the_digest(tmp_path: Path) -> None:
    report, model = tmp_path / "report.json", tmp_path / "model"
    model.mkdir()
    record = replace(TRIAL, artifacts={"report.json": report}, model=model)
    digests = [record_digest(record)]
    report.write_text("1")
    digests.append(record_digest(record))
    report.write_text("12")
    digests.append(record_digest(record))
    (model / "weights").write_text("3")
    digests.append(record_digest(record))
    assert len(set(digests)) == 4
