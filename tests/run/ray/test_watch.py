"""A call into Ray is given up when the cluster is gone, however it blocks; without a cluster."""

import signal
import threading
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from phasetune import StoreError
from phasetune.run.interrupt import Interrupted, StopSwitch
from phasetune.run.ray import watch
from phasetune.run.ray.head import HeadWatch
from phasetune.run.ray.watch import head_watched, watched

GONE = "gcs_server ended (exit code -9)"


def tells(monkeypatch: pytest.MonkeyPatch, *found: str | None) -> None:
    """What is seen of the cluster at one look after the other; the last for ever."""
    looks: Iterator[str | None] = chain(found, repeat(found[-1]))
    monkeypatch.setattr(watch, "lost_process", lambda: next(looks))


def test_a_call_gives_its_result_or_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise Interrupted(15)

    tells(monkeypatch, None)
    assert watched(lambda: 3, stop=StopSwitch()) == 3
    with pytest.raises(Interrupted):
        watched(fails, stop=StopSwitch())


def test_a_call_that_blocks_is_given_up_and_its_thread_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[threading.Thread] = []

    def blocks() -> None:
        called.append(threading.current_thread())
        for _ in repeat(None):
            pass

    tells(monkeypatch, None, GONE)
    with pytest.raises(StoreError) as caught:
        watched(blocks, stop=StopSwitch())
    assert str(caught.value) == (
        "Ray's gcs_server ended (exit code -9), and with it the cluster that runs were executed "
        "in; nothing is lost, run again"
    )
    called[0].join(timeout=30)
    assert not called[0].is_alive()


def test_an_error_that_comes_of_the_loss_is_told_as_the_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise ConnectionError("socket closed")

    tells(monkeypatch, GONE)
    with pytest.raises(StoreError, match="Ray's gcs_server ended"):
        watched(fails, stop=StopSwitch())


@pytest.mark.parametrize("hears_first", ["the driver", "the cluster"])
def test_a_loss_after_an_end_was_asked_for_is_that_end(
    hears_first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job manager signals every process of a study."""
    stop, asks = StopSwitch(), threading.Event()

    def blocks() -> None:
        asks.wait()

    def lost() -> str:
        asking.start() if hears_first == "the cluster" else stop.ask(signal.SIGTERM)
        monkeypatch.setattr(watch, "lost_process", lambda: GONE)
        return GONE

    asking = threading.Timer(0.0, lambda: stop.ask(signal.SIGTERM))
    monkeypatch.setattr(watch, "lost_process", lost)
    with pytest.raises(Interrupted) as caught:
        watched(blocks, stop=stop)
    asks.set()
    assert (caught.value.exit_code, caught.value.is_second) == (143, False)


def test_what_was_done_before_the_loss_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    tells(monkeypatch, GONE)
    assert watched(lambda: "done", stop=StopSwitch()) == "done"


def test_without_a_cluster_nothing_is_lost() -> None:
    assert watch.lost_process() is None


class Head:
    """One that was joined; `why` says why it is not heard."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.now = 0.0

    def watch(self) -> HeadWatch:
        return HeadWatch(
            "head:1",
            joined="one",
            cluster=lambda _: "one",
            silence=lambda _: self.why,
            clock=lambda: self.now,
        )


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    found = Head()
    monkeypatch.setattr(watch, "_lost_head", threading.Event())
    monkeypatch.setattr(watch, "_heads", [])
    monkeypatch.setattr(watch, "head_watch", found.watch)
    return found


def test_a_head_lost_between_two_calls_is_told_instead_of_the_second(head: Head) -> None:
    called = False

    def calls() -> None:
        nonlocal called
        called = True

    with head_watched():
        (of_head,) = watch._heads
        assert watched(lambda: 3, stop=StopSwitch()) == 3
        head.why = "refused"
        of_head.look()
        head.now = 31.0
        of_head.look()
        with pytest.raises(StoreError, match=r"head:1 is lost since .*: refused; nothing"):
            watched(calls, stop=StopSwitch())
    assert not called


def test_a_call_that_fails_since_the_head_is_gone_is_told_as_that(head: Head) -> None:
    def fails() -> None:
        head.why = "refused"
        raise ConnectionError("socket closed")

    with head_watched(), pytest.raises(StoreError, match="head:1 is lost since"):
        watched(fails, stop=StopSwitch())


@pytest.mark.parametrize("why", [None, "refused"], ids=["it is there", "it went at the very end"])
def test_ray_is_told_to_leave_only_a_cluster_whose_head_is_there(
    head: Head, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    left: list[str] = []
    monkeypatch.setattr(ray, "shutdown", lambda: left.append("left"))
    with head_watched():
        head.why = why
    watch.shut_down()
    assert left == (["left"] if why is None else [])
    assert watch._heads == []
