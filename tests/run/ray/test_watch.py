"""A call into Ray is given up when the cluster is gone, however it blocks; without a cluster."""

import signal
import threading
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from phasetune import StoreError
from phasetune.run.interrupt import Interrupted, StopSwitch
from phasetune.run.ray import watch
from phasetune.run.ray.watch import watched

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
