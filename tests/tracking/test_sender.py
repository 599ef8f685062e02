import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from listed import PHASE, STUDY, Listed, memory, record
from phasetune.errors import StoreError
from phasetune.tracking import sender as module
from phasetune.tracking.contract import Forgotten, Record, Unavailable
from phasetune.tracking.memory import Remembered
from phasetune.tracking.sender import Patience, Sender, backoff_seconds
from scripted_tracker import Scripted

TRIAL = record("trial", "t", PHASE.id, 1, 2, 3)
BATCH = (STUDY, PHASE, TRIAL)
PATIENT = Patience(quiet_seconds=20.0, most_seconds=20.0)
HASTY = Patience(quiet_seconds=0.1, most_seconds=20.0)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "backoff_seconds", lambda tries: 0.01)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def said() -> list[str]:
    return []


def sender(folder: Path, tracker: Scripted, source: Listed, said: list[str]) -> Sender:
    return Sender(tracker, source, memory(folder), tell=said.append)


def each_time(call: str, error: BaseException) -> Callable[[str, str], None]:
    def before(name: str, record: str) -> None:
        if name == call:
            raise error

    return before


@pytest.mark.parametrize("tries", range(1, 12))
def test_it_waits_twice_as_long_after_each_try_up_to_a_minute(tries: int) -> None:
    longest = min(60.0, 2.0 ** (tries - 1))
    assert longest / 2 <= backoff_seconds(tries) <= longest


def test_all_is_told_by_one_thread_of_its_own(tmp_path: Path, said: list[str]) -> None:
    tracker = Scripted()
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.wait_until_ready(20.0)
    made.end("done")
    made.wait(PATIENT)
    assert not made.is_alive()
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    assert tracker.calls[-1] == ("close", "")
    assert tracker.threads == {made.ident} != {threading.get_ident()}
    assert said == []


def test_a_store_that_comes_back_is_told_all_that_waited(tmp_path: Path, said: list[str]) -> None:
    down = iter(range(5))

    def before(call: str, record: str) -> None:
        for _ in down:
            raise Unavailable("connection refused")

    tracker = Scripted(before=before)
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert list(tracker.known) == ["study", "phase:a", "trial:t"]
    assert said == [
        "tracker jsonl (memory) does not answer, what it is told waits: connection refused"
    ]


def test_a_store_that_stays_down_is_left_at_the_end(tmp_path: Path, said: list[str]) -> None:
    tracker = Scripted(before=each_time("connect", Unavailable("connection refused")))
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.wait_until_ready(20.0)
    made.end("done")
    made.wait(HASTY)
    assert not made.teller.memory.is_complete
    assert len(said) == 1
    made.join(20.0)
    assert tracker.calls[-1] == ("close", "")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """A call may wait for it; it opens when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_store_that_hangs_is_left_at_the_end(
    tmp_path: Path, said: list[str], gate: threading.Event
) -> None:
    tracker = Scripted(before=lambda call, record: call == "log" and gate.wait(20.0))
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.end("done")
    made.wait(HASTY)
    assert made.is_alive()
    assert ("update", "trial:t") not in tracker.calls
    gate.set()
    made.join(20.0)
    assert ("update", "phase:u") not in tracker.calls


def test_the_end_waits_for_a_slow_store_as_long_as_something_gets_through(
    tmp_path: Path, said: list[str]
) -> None:
    """Each call takes less than the patience, all of them together more."""
    pause = threading.Event()
    tracker = Scripted(before=lambda call, record: pause.wait(0.03))
    records = [record("trial", str(number), PHASE.id, 1) for number in range(3)]
    made = sender(tmp_path, tracker, Listed((STUDY, PHASE, *records)), said)
    made.start()
    made.end("done")
    made.wait(Patience(quiet_seconds=0.25, most_seconds=20.0))
    assert made.teller.memory.is_complete


def test_the_end_waits_no_longer_than_it_may(tmp_path: Path, said: list[str]) -> None:
    pause = threading.Event()
    tracker = Scripted(before=lambda call, record: pause.wait(0.02))
    records = [record("trial", str(number), PHASE.id, 1) for number in range(1000)]
    made = sender(tmp_path, tracker, Listed((STUDY, PHASE, *records)), said)
    made.start()
    made.end("done")
    made.wait(Patience(quiet_seconds=20.0, most_seconds=0.2))
    assert not made.teller.memory.is_complete
    assert len(tracker.known) < 1000


def test_a_record_with_a_fault_is_told_of_once(tmp_path: Path, said: list[str]) -> None:
    tracker = Scripted(before=each_time("log", ValueError("odd\nvalue")))
    others = [record("trial", str(number), PHASE.id, 1) for number in range(3)]
    made = sender(tmp_path, tracker, Listed((*BATCH, *others)), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert said == ["tracker jsonl (memory) passed over 't': ValueError: odd value"]
    assert len(made.teller.faults) == 4


class Unreadable(Listed):
    """A source that can't be read at first; `failures` are still to come."""

    failures = 2

    def news(self, known: Mapping[str, Remembered]) -> Sequence[Record] | None:
        news = super().news(known)
        if news is not None and self.failures:
            self.failures -= 1
            raise StoreError("plan.json is torn")
        return news


def test_a_study_that_can_t_be_read_for_a_moment_is_read_again(
    tmp_path: Path, said: list[str]
) -> None:
    tracker = Scripted()
    made = sender(tmp_path, tracker, Unreadable(BATCH), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert tracker.known["trial:t"].steps == {"fit": [1, 2, 3]}
    message = "can't read the study, and tries again: StoreError: plan.json is torn"
    assert said == [f"tracker jsonl (memory) {message}"]


def test_one_that_does_not_insist_is_not_tried_again(tmp_path: Path, said: list[str]) -> None:
    tracker = Scripted(before=each_time("connect", Unavailable("connection refused")))
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.end("done", insists=False)
    made.wait(PATIENT)
    assert not made.is_alive()
    assert [call for call, _ in tracker.calls] in (
        ["connect", "close"],
        ["connect"] * 2 + ["close"],
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("connect", "waiting for tracker jsonl (memory) to answer ..."),
        ("log", "telling tracker jsonl (memory) about 1 record ..."),
    ],
)
def test_who_waits_for_long_is_told_what_for(
    tmp_path: Path,
    said: list[str],
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    message: str,
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)
    reached = threading.Event()

    def before(name: str, record: str) -> None:
        if name == call:
            reached.set()
            gate.wait(20.0)

    made = sender(tmp_path, Scripted(before=before), Listed(BATCH), said)
    made.start()
    assert reached.wait(20.0)
    made.end("done")
    made.wait(HASTY, on_slow=lambda: said.append(made.what_waits()))
    assert said == [message]


def test_it_rests_after_each_record_while_a_command_works(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    made = sender(tmp_path, Scripted(), Listed(BATCH), said)

    def wait(seconds: float | None = None) -> bool:
        rests.append(seconds or 0.0)
        return False

    monkeypatch.setattr(made._woken, "wait", wait)
    made.teller.connect()
    made.teller.tell_news()
    assert len(rests) == 3
    assert all(0.0 < seconds <= module._LONGEST_REST_SECONDS for seconds in rests)
    made.end("done")
    made.teller.read_again()
    made.teller.tell_news()
    assert len(rests) == 3


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("much")])
def test_whatever_a_tracker_raises_ends_its_thread_at_worst(
    tmp_path: Path, said: list[str], error: BaseException
) -> None:
    made = sender(tmp_path, Scripted(before=each_time("update", error)), Listed(BATCH), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert not made.is_alive()
    assert type(error).__name__ in said[0]


def test_a_close_that_fails_is_told(tmp_path: Path, said: list[str]) -> None:
    made = sender(tmp_path, Scripted(before=each_time("close", OSError("full"))), Listed(), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert said == ["tracker jsonl (memory) could not be closed: OSError: full"]


def test_a_store_that_lost_all_meanwhile_is_told_all_again(tmp_path: Path, said: list[str]) -> None:
    tracker = Scripted()
    lost = iter([True])

    def before(call: str, record: str) -> None:
        if (call, record) == ("update", "trial:t") and next(lost, False):
            tracker.known.clear()
            raise Forgotten("emptied")

    tracker.before = before
    made = sender(tmp_path, tracker, Listed(BATCH), said)
    made.start()
    made.end("done")
    made.wait(PATIENT)
    assert list(tracker.known) == ["study", "phase:a", "trial:t"]
    assert said == ["tracker jsonl (memory) lost what it was told (emptied); it is told again"]


def test_more_than_100_mib_that_wait_are_warned_of_once(tmp_path: Path, said: list[str]) -> None:
    source = Listed(BATCH)
    source.waiting_bytes = (100 << 20) + (1 << 20)
    tracker = Scripted(before=each_time("connect", Unavailable("down")))
    made = sender(tmp_path, tracker, source, said)
    made.start()
    made.end("done")
    made.wait(HASTY)
    made.join(20.0)
    assert said[1:] == ["tracker jsonl (memory) warning: 101 MiB wait for it in the journal"]
