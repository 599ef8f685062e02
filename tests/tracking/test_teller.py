from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from listed import PHASE, STUDY, Listed, memory, record, series
from phasetune.tracking.contract import (
    MOST_STEPS,
    Forgotten,
    Record,
    Series,
    Status,
    Unavailable,
)
from phasetune.tracking.teller import Teller, num_waiting
from scripted_tracker import Scripted

TRIAL = record("trial", "t", PHASE.id, 1, 2, 3)


def teller(
    folder: Path, tracker: Scripted, source: Listed, faults: list[str] | None = None
) -> Teller:
    told = faults if faults is not None else []
    made = Teller(tracker, source, memory(folder), on_fault=lambda r, e: told.append(f"{r.id} {e}"))
    made.connect()
    return made


def failing(name: str, record: str, error: Exception, *, times: int = 1) -> Callable[..., None]:
    """Raise at the first calls of this name on this record."""
    left = [error] * times

    def before(call: str, handle: str) -> None:
        if (call, handle) == (name, record) and left:
            raise left.pop()

    return before


def test_records_are_begun_from_the_top_down_and_told_once(tmp_path: Path) -> None:
    tracker = Scripted()
    made = teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL), (STUDY, PHASE, TRIAL)))
    made.tell_news()
    assert tracker.calls == [
        ("connect", ""),
        ("open", "study"),
        ("update", "study"),
        ("open", "phase:a"),
        ("update", "phase:a"),
        ("open", "trial:t"),
        ("last_steps", "trial:t"),
        ("log", "trial:t"),
        ("update", "trial:t"),
    ]
    assert tracker.known["trial:t"].parent == "phase:a"
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    assert made.memory.position == 20


def test_only_steps_behind_the_last_one_are_told(tmp_path: Path) -> None:
    tracker, longer = Scripted(), replace(TRIAL, series=(series(2, 3, 4, 5),))
    teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL), (longer,))).tell_news()
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3, 4, 5]}


def test_what_a_crash_left_untold_of_the_memory_is_not_told_twice(tmp_path: Path) -> None:
    tracker = Scripted()
    first = teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL)))
    first.tell_news()
    first.memory.path.unlink()
    teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL))).tell_news()
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    assert len(tracker.known) == 3


def test_a_next_process_goes_on_without_beginning_records_again(tmp_path: Path) -> None:
    tracker = Scripted()
    teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL))).tell_news()
    tracker.calls.clear()
    ended = replace(TRIAL, status=Status.FINISHED)
    teller(tmp_path, tracker, Listed((STUDY, PHASE, ended))).tell_news()
    assert tracker.calls == [
        ("connect", ""),
        ("last_steps", "study"),
        ("last_steps", "trial:t"),
        ("update", "trial:t"),
    ]


def test_long_series_are_told_in_parts(tmp_path: Path) -> None:
    tracker, steps = Scripted(), range(2 * MOST_STEPS + 1)
    teller(tmp_path, tracker, Listed((STUDY, record("phase", "p", "study", *steps)))).tell_news()
    assert tracker.calls.count(("log", "phase:p")) == 3
    assert tracker.known["phase:p"].steps == {"fit": list(steps)}


def test_all_that_changed_of_a_record_is_one_call(tmp_path: Path) -> None:
    tracker, changes = OneCall(), replace(TRIAL, tags={"winner": "true"})
    teller(tmp_path, tracker, Listed((STUDY, PHASE, changes), (TRIAL,))).tell_news()
    assert tracker.updates == [("study", 0), ("phase:a", 0), ("trial:t", 3), ("trial:t", 0)]
    assert ("log", "trial:t") not in tracker.calls


class OneCall(Scripted):
    """Remembers how many steps came with each update."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[tuple[str, int]] = []

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,
        series: Sequence[Series] = (),
    ) -> None:
        self.updates.append((handle, sum(len(part.steps) for part in series)))
        super().update(handle, record, told=told)


@pytest.mark.parametrize("call", ["open", "last_steps", "log", "update"])
def test_what_a_store_that_is_down_refused_is_told_next_time(tmp_path: Path, call: str) -> None:
    tracker = Scripted(before=failing(call, "trial:t", Unavailable("down"), times=2))
    source = Listed((STUDY, PHASE, TRIAL), (record("trial", "u", PHASE.id, 1),))
    made = teller(tmp_path, tracker, source)
    for _ in range(2):
        with pytest.raises(Unavailable, match="down"):
            made.tell_news()
        made.disconnect()
        made.connect()
        assert (made.memory.position, source.position) == (0, 10)
    made.tell_news()
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    assert tracker.known["trial:t"].statuses == ["RUNNING"]
    assert (made.memory.position, made.faults) == (20, {})
    assert source.times_told == 2


def test_a_store_that_lost_all_is_told_all_again(tmp_path: Path) -> None:
    batch = (STUDY, PHASE, TRIAL)
    teller(tmp_path, Scripted(), Listed(batch)).tell_news()
    emptied, source = Scripted(), Listed(batch)
    made = Teller(emptied, source, memory(tmp_path), on_fault=lambda r, e: None)
    source.position = made.memory.position
    with pytest.raises(Forgotten, match="no record study"):
        made.connect()
    made.forget()
    made.connect()
    made.tell_news()
    assert list(emptied.known) == ["study", "phase:a", "trial:t"]
    assert emptied.known["trial:t"].steps == {"fit": [1, 2, 3]}


def test_whatever_else_a_connection_raises_is_tried_again(tmp_path: Path) -> None:
    tracker = Scripted(before=failing("connect", "", ValueError("odd\nplace")))
    made = Teller(tracker, Listed(), memory(tmp_path), on_fault=lambda r, e: None)
    with pytest.raises(Unavailable, match="ValueError: odd place"):
        made.connect()
    made.connect()


@pytest.mark.parametrize("call", ["open", "last_steps", "log", "update"])
def test_a_record_that_a_tracker_can_not_take_is_passed_over_until_the_end(
    tmp_path: Path, call: str
) -> None:
    tracker = Scripted(before=failing(call, "trial:t", ValueError("odd")))
    other, faults = record("trial", "u", PHASE.id, 1), list[str]()
    made = teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL, other)), faults)
    made.tell_news()
    assert faults == ["trial:t odd"]
    assert tracker.known["trial:u"].steps == {"fit": [1]}
    made.tell_everything("done")
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    assert made.faults == {}
    assert made.memory.is_complete


def test_what_is_below_a_record_that_was_passed_over_waits_too(tmp_path: Path) -> None:
    tracker = Scripted(before=failing("open", PHASE.id, ValueError("odd"), times=2))
    made = teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL)))
    made.tell_news()
    assert set(made.faults) == {PHASE.id, TRIAL.id}
    made.tell_everything("done")
    assert set(made.faults) == {PHASE.id, TRIAL.id}
    assert not made.memory.is_complete
    made.tell_everything("done")
    assert list(tracker.known) == ["study", PHASE.id, TRIAL.id]


def test_the_end_tells_what_news_did_not(tmp_path: Path) -> None:
    tracker, ended = Scripted(), replace(STUDY, status=Status.FINISHED)
    source = Listed((STUDY,), last=(ended, PHASE))
    made = teller(tmp_path, tracker, source)
    made.tell_everything("interrupted")
    assert source.ending == "interrupted"
    assert tracker.known["study"].statuses == ["RUNNING", "FINISHED"]
    assert made.memory.is_complete


def test_nothing_is_told_after_leaving(tmp_path: Path) -> None:
    tracker = Scripted()
    made = teller(tmp_path, tracker, Listed((STUDY, PHASE)))
    made.leave()
    with pytest.raises(Unavailable):
        made.tell_news()
    assert tracker.known == {}


def test_records_that_wait_are_counted_without_asking_the_tracker(tmp_path: Path) -> None:
    tracker = Scripted()
    made = teller(tmp_path, tracker, Listed((STUDY, PHASE, TRIAL)))
    made.tell_news()
    calls = len(tracker.calls)
    records: list[Record] = [STUDY, PHASE, TRIAL]
    assert num_waiting(records, made.memory) == 0
    records[0] = replace(STUDY, tags={"winner": "t"})
    records[2] = replace(TRIAL, series=(series(3, 4),))
    records.append(record("trial", "u", PHASE.id))
    assert num_waiting(records, made.memory) == 3
    assert len(tracker.calls) == calls
