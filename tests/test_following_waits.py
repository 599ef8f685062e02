"""How long a command waits for its trackers, and what people are told meanwhile."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Heard
from followed import go, small_study
from phasetune import StudyError, plan_study
from phasetune.api import following
from phasetune.api.following import Followers
from phasetune.run.events import BackendStarting, Event, Noticed, RunReported
from phasetune.run.interrupt import Interrupted
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Unavailable
from phasetune.tracking.sender import Patience, Sender
from scripted_tracker import Scripted

HASTY = Patience(quiet_seconds=0.1, most_seconds=20.0)
PATIENT = Patience(quiet_seconds=60.0, most_seconds=60.0)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The one tracker of all studies of this test."""
    made = Scripted()

    def open_tracker(name: str, target: str | None, **_: ResultsPaths | StudyPaths) -> Scripted:
        return made

    monkeypatch.setattr("phasetune.tracking.trackers.open_tracker", open_tracker)
    return made


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """A call may wait for it; it opens when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def patience(monkeypatch: pytest.MonkeyPatch, all_of_it: Patience) -> None:
    monkeypatch.setattr(following, "_PATIENCE", dict.fromkeys(following._PATIENCE, all_of_it))


def down(call: str, record: str) -> None:
    if call == "connect":
        raise Unavailable("connection refused")


def followers(tracker: Scripted, results: Path, heard: Heard) -> Followers:
    paths = ResultsPaths(results)
    follower = following._Follower(tracker=tracker, paths=paths, study=paths.study("scripted"))
    return Followers([follower], heard)


class Signals:
    """Sends these, one after the other, when the first run reports."""

    def __init__(self, *signums: int) -> None:
        self.signums = list(signums)

    def notify(self, event: Event) -> None:
        while isinstance(event, RunReported) and self.signums:
            os.kill(os.getpid(), self.signums.pop(0))


@pytest.mark.parametrize(
    ("signums", "waits"), [([signal.SIGTERM], 1), ([signal.SIGTERM, signal.SIGINT], 0)]
)
def test_after_a_second_signal_nobody_is_waited_for(
    results: Path,
    tracker: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    signums: list[int],
    waits: int,
) -> None:
    patience(monkeypatch, HASTY)
    tracker.before, waited, wait = down, list[Patience](), Sender.wait

    def counted(sender: Sender, patience: Patience, **more: object) -> None:
        waited.append(patience)
        wait(sender, patience)

    monkeypatch.setattr(Sender, "wait", counted)
    with pytest.raises(Interrupted):
        go(small_study(), results, listener=Signals(*signums))
    assert len(waited) == waits


def test_a_signal_while_it_waits_leaves_at_once(
    results: Path, tracker: Scripted, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.before, left, leave = down, list[str](), Sender.leave

    def interrupted(sender: Sender, patience: Patience, **more: object) -> None:
        raise Interrupted(signal.SIGINT)

    def counted(sender: Sender) -> None:
        left.append(sender.name)
        leave(sender)

    monkeypatch.setattr(Sender, "wait", interrupted)
    monkeypatch.setattr(Sender, "leave", counted)
    with pytest.raises(Interrupted):
        go(small_study(), results, listener=heard)
    assert left == ["tracker jsonl"]
    assert not [event for event in heard.of(Noticed) if "was not told" in event.message]


def test_a_store_that_is_down_is_asked_once_by_a_command_that_has_nothing_to_do(
    results: Path, tracker: Scripted, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience(monkeypatch, HASTY)
    tracker.before = down
    go(small_study(), results)
    patience(monkeypatch, PATIENT)
    tracker.calls.clear()
    go(small_study(), results, listener=heard)
    assert tracker.calls.count(("connect", "")) == 1
    assert "was not told all yet; tell it with `phasetune sync" in heard.of(Noticed)[-1].message


def test_where_nothing_waits_nothing_is_said(
    results: Path, tracker: Scripted, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience(monkeypatch, HASTY)
    tracker.before = down
    found = followers(tracker, results, heard)
    found._start()
    found.end("interrupted")
    assert all("was not told" not in event.message for event in heard.of(Noticed))


def test_a_start_that_waits_says_what_for(
    results: Path,
    tracker: Scripted,
    heard: Heard,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(following, "_CONNECT_SECONDS", 0.1)
    tracker.before = lambda call, record: call == "connect" and gate.wait(20.0)
    found = followers(tracker, results, heard)
    found._start()
    found.notify(BackendStarting(backend="in-process"))
    assert [event.message for event in heard.of(Noticed)] == [
        "waiting for tracker jsonl (memory) to answer ..."
    ]


def test_an_end_that_waits_says_what_for(
    results: Path,
    tracker: Scripted,
    heard: Heard,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phasetune.tracking.sender.SILENT_SECONDS", 0.0)
    patience(monkeypatch, HASTY)
    tracker.before = lambda call, record: call == "update" and gate.wait(20.0)
    go(small_study(), results, listener=heard)
    assert heard.of(Noticed)[0].message.startswith("telling tracker jsonl (memory) about ")


def test_a_place_that_can_be_none_is_refused_before_anything_is_planned(results: Path) -> None:
    with pytest.raises(StudyError, match="must be the address of an MLflow store, but is 'foo'"):
        plan_study(small_study(tracking={"mlflow": "foo"}), results=results)
