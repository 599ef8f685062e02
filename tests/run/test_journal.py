import math
from pathlib import Path
from typing import get_args

import pytest

from conftest import Heard, StudyMaker
from happenings import begins
from phasetune import run_study
from phasetune.run.events import (
    BackendStarting,
    Event,
    FinalDone,
    Listeners,
    Noticed,
    PhaseDecided,
    PhaseStarted,
    RunDone,
    RunFailed,
    RunReported,
    RunStarted,
    StudyEnded,
    TrialJudged,
    WaveStarted,
)
from phasetune.run.journal import Journal, entry_of, event_of, is_news
from phasetune.store.failures import Failure
from phasetune.store.lines import LinesReader
from phasetune.store.paths import ResultsPaths

DECIDED = PhaseDecided(
    phase="one", outcome="won", winner="a", sentences=("a wins.",), is_new=True, again=False
)
EVENTS: list[Event] = [
    begins(),
    PhaseStarted(
        phase="one", position="1/2", trials=2, sharing=(), missing=1, missing_by_stage={"fit": 1}
    ),
    BackendStarting(backend="ray"),
    WaveStarted(phase="one", runs=2, backend="ray", device="cpu", attempt=Path("attempts/0001")),
    RunStarted(key="k", stage="fit", label="fit a", steps=None),
    RunReported(key="k", stage="fit", label="fit a", step=3, metrics={"loss": math.nan}),
    RunDone(key="k", stage="fit", label="a", metrics={"loss": math.inf}, seconds=1.5, resources={}),
    RunFailed(
        key="k",
        stage="fit",
        label="a",
        failure=Failure(stage="fit", key="k", cause="error", message="odd"),
        traceback=Path("k.txt"),
        tail=("last line",),
    ),
    TrialJudged(
        phase="one",
        trial="a",
        standing="infeasible",
        reason="score >= 1 by 0.5",
        metrics={"score": 0.5},
        is_candidate=True,
        is_reused=False,
    ),
    DECIDED,
    FinalDone(state="done", reason=None, test={"score": 0.5}),
    StudyEnded(outcome="interrupted", message="SIGTERM"),
    Noticed(message="the moon is full"),
]


def test_every_kind_of_event_is_written_and_read_as_it_was() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    for event in EVENTS:
        entry = entry_of(event, at=7.1234)
        found = event_of(entry)
        assert found is not None
        assert found[0] == 7.123
        assert entry_of(found[1], at=7.1234) == entry
        assert type(found[1]) is type(event)


def test_numbers_that_json_lacks_are_numbers_again() -> None:
    found = event_of(entry_of(EVENTS[5], at=0.0))
    assert found is not None
    assert isinstance(found[1], RunReported)
    assert math.isnan(found[1].metrics["loss"])


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"event": "noticed", "message": "no time"},
        {"event": "noticed", "time": "now", "message": "m"},
        {"event": "noticed", "time": 1.0},
        {"event": "noticed", "time": 1.0, "message": 5},
        {"event": "run_reported", "time": 1.0, "key": "k", "metrics": {"a": "high"}},
        {"event": "of_another_version", "time": 1.0},
        {"event": ["noticed"], "time": 1.0},
    ],
)
def test_what_is_no_event_is_none(entry: dict[str, object]) -> None:
    assert event_of(entry) is None


def test_secrets_are_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    journal.notify(BackendStarting(backend="ray"))
    journal.notify(Noticed(message="asks https://me:hunter2@tracking.example with token=abc123def"))
    text = (tmp_path / "events.jsonl").read_text()
    assert "https://me:***@tracking.example" in text
    assert "hunter2" not in text
    assert "abc123def" not in text


def test_what_happens_before_there_is_news_is_kept_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "events.jsonl"
    journal = Journal(path)
    journal.notify(begins())
    journal.notify(EVENTS[1])
    assert not path.parent.exists()
    journal.notify(BackendStarting(backend="ray"))
    told = [entry["event"] for entry in LinesReader(path).new()]
    assert told == ["study_started", "phase_started", "backend_starting"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_it_is_news_that_something_runs_or_was_decided(event: Event) -> None:
    runs = BackendStarting | WaveStarted | RunDone | RunFailed | PhaseDecided
    assert is_news(event) == isinstance(event, runs)


@pytest.mark.parametrize(
    ("is_new", "again", "news"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_a_decision_that_stands_already_is_no_news(is_new: bool, again: bool, news: bool) -> None:
    event = PhaseDecided(
        phase="one", outcome="won", winner="a", sentences=(), is_new=is_new, again=again
    )
    assert is_news(event) is news


def test_events_that_a_disk_refused_are_written_when_it_has_room(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    journal = Journal(folder / "events.jsonl")
    journal.notify(BackendStarting(backend="ray"))
    journal.notify(Noticed(message="one"))
    folder.unlink()
    journal.notify(Noticed(message="two"))
    told = [entry.get("message") for entry in LinesReader(folder / "events.jsonl").new()]
    assert told == [None, "one", "two"]


def test_a_journal_tells_what_a_listener_heard(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    study = scripted_study(phases=[{"name": "value", "grid": {"train.value": [0.2, 0.6]}}])
    run_study(study, results=tmp_path, in_process=True, listener=Listeners((heard,)))
    path = ResultsPaths(tmp_path).study("scripted").events
    entries = list(LinesReader(path).new())
    assert entries == [
        entry_of(e, at=n["time"]) for e, n in zip(heard.events, entries, strict=True)
    ]
    assert entries[-1]["event"] == "study_ended"
    size = path.stat().st_size
    run_study(study, results=tmp_path, in_process=True)
    assert path.stat().st_size == size
