"""Studies that trackers follow, whatever becomes of the tracker, the driver or the study."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Heard
from followed import WHOLE, go, small_study, told
from phasetune import StudyError, sync
from phasetune.api import following
from phasetune.run.events import Event, Noticed, RunStarted
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Unavailable
from phasetune.tracking.sender import Patience
from scripted_tracker import Scripted, faults_of


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The report of the study that no tracker follows."""
    results = tmp_path_factory.mktemp("alone")
    report = go(small_study(tracking="none"), results)
    assert not (results / "scripted" / "tracking").exists()
    return report


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "re sults"


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The one tracker of all studies of this test."""
    made = Scripted()

    def open_tracker(name: str, target: str | None, **_: ResultsPaths | StudyPaths) -> Scripted:
        return made

    monkeypatch.setattr("phasetune.tracking.trackers.open_tracker", open_tracker)
    return made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience(quiet_seconds=0.1, most_seconds=20.0)
    monkeypatch.setattr(following, "_PATIENCE", dict.fromkeys(following._PATIENCE, patience))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """A call may wait for it; it opens when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_study_is_told_whole(results: Path) -> None:
    go(small_study(**WHOLE), results)
    found = told(results)
    assert faults_of(found) == []
    assert sorted(known.kind for known in found.values()) == [
        *["phase"] * 3,
        "study",
        *["trial"] * 5,
    ]
    assert {known.status for known in found.values()} == {"FINISHED"}
    for known in found.values():
        if known.kind == "trial":
            last = {"prepare": [1, 2, 3], "train": [1, 2, 3], "test": [1, 2, 3]}
            assert known.steps.items() <= last.items()
            assert "total_time_min" in known.metrics
    winners = [known.name for known in found.values() if known.tags.get("winner") == "true"]
    assert winners == ["value-value=0.6", "preparation-value=0.5"]


def test_being_told_changes_no_result(results: Path, alone: bytes) -> None:
    assert go(small_study(), results) == alone


def raising(error: Exception, *calls: str) -> Callable[[str, str], None]:
    def before(call: str, record: str) -> None:
        if call in calls:
            raise error

    return before


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BAD = {
    "it is down": raising(Unavailable("connection refused"), "connect"),
    "it goes down": raising(Unavailable("connection refused"), "log", "update"),
    "its disk is full": raising(FULL, "open", "log", "update"),
    "it has a fault": raising(KeyError("odd"), "connect", "open", "log", "update", "close"),
    "its process is to end": raising(MemoryError(), "update"),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("before", BAD.values(), ids=BAD.keys())
def test_no_tracker_takes_a_study_down(
    results: Path,
    tracker: Scripted,
    heard: Heard,
    alone: bytes,
    before: Callable[[str, str], None],
) -> None:
    tracker.before = before
    assert go(small_study(), results, listener=heard) == alone
    said = [event.message for event in heard.of(Noticed)]
    assert said[0].startswith("tracker jsonl (memory) ")
    command = f"phasetune sync '{results}'"
    assert any(text.endswith(f"tell it with `{command}`") for text in said)
    tracker.before = lambda call, record: None
    (synced,) = sync(results, wait=lambda seconds: None)
    assert (synced.waiting, synced.reason) == (0, "")
    assert faults_of(tracker.known) == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("call", ["open", "log", "update"])
def test_a_store_that_hangs_holds_no_study_up(
    results: Path,
    tracker: Scripted,
    heard: Heard,
    alone: bytes,
    gate: threading.Event,
    call: str,
) -> None:
    tracker.before = lambda name, record: name == call and gate.wait(60.0)
    assert go(small_study(), results, listener=heard) == alone
    assert threading.get_ident() not in tracker.threads
    assert heard.of(Noticed)[-1].message == (
        f"tracker jsonl (memory) was not told all yet; tell it with `phasetune sync '{results}'`"
    )


def test_a_slow_store_is_called_by_its_own_thread_alone(results: Path, tracker: Scripted) -> None:
    pause = threading.Event()
    tracker.before = lambda call, record: pause.wait(0.005)
    go(small_study(), results)
    assert faults_of(tracker.known) == []
    assert len(tracker.threads) == 1
    assert threading.get_ident() not in tracker.threads


class AtFirstRun:
    """Remembers what a tracker was called for when the first run started."""

    def __init__(self, tracker: Scripted) -> None:
        self.tracker = tracker
        self.calls: list[str] | None = None

    def notify(self, event: Event) -> None:
        if isinstance(event, RunStarted) and self.calls is None:
            self.calls = [call for call, _ in self.tracker.calls]


def test_trackers_are_connected_before_the_first_run(results: Path, tracker: Scripted) -> None:
    watch = AtFirstRun(tracker)
    go(small_study(), results, listener=watch)
    assert watch.calls is not None
    assert watch.calls[0] == "connect"


def test_a_study_that_is_done_calls_no_tracker(results: Path, tracker: Scripted) -> None:
    go(small_study(), results)
    tracker.calls.clear()
    go(small_study(), results)
    assert tracker.calls == []


@pytest.mark.usefixtures("hasty")
def test_the_next_command_tells_what_waits_though_it_has_nothing_to_do(
    results: Path, tracker: Scripted
) -> None:
    tracker.before = BAD["it is down"]
    go(small_study(), results)
    tracker.before = lambda call, record: None
    go(small_study(), results)
    assert faults_of(tracker.known) == []
    assert tracker.known["study"].status == "FINISHED"


def test_a_tracker_that_can_not_be_used_is_refused_before_anything_runs(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASETUNE_TRACKING", "mlflw")
    message = "PHASETUNE_TRACKING: must be none or name trackers, but names 'mlflw'; did you mean"
    with pytest.raises(StudyError, match=message):
        go(small_study(tracking=None), results)
    assert not (results / "scripted").exists()
