"""When the head of a joined cluster is given up; with a clock and a head of the test's own."""

import threading
from dataclasses import dataclass

import pytest

from phasetune import StoreError
from phasetune.run.ray import head
from phasetune.run.ray.head import LOST_SECONDS, HeadWatch, head_watch, looking

WHY = "no Ray head answers there (Connection refused)"


@dataclass
class World:
    now: float = 0.0
    why: str | None = None
    cluster: str | None = "one"
    looks: int = 0
    asked: int = 0

    def silence(self, address: str) -> str | None:
        self.looks += 1
        return self.why

    def ask(self, address: str) -> str | None:
        assert self.why is None, "Ray's client would try for a minute"
        self.asked += 1
        return self.cluster

    def watch(self) -> HeadWatch:
        return HeadWatch(
            "head:1",
            joined="one",
            cluster=self.ask,
            silence=self.silence,
            clock=lambda: self.now,
        )


def test_one_that_answers_is_greeted_and_never_asked() -> None:
    world = World()
    watch = world.watch()
    for _ in range(5):
        watch.look()
    watch.refuse_lost()
    assert (world.looks, world.asked) == (5, 0)


def test_one_that_is_silent_is_looked_at_more_often() -> None:
    world = World()
    watch = world.watch()
    before = watch.pause_seconds
    world.why = WHY
    watch.look()
    assert (before, watch.pause_seconds) == (2.0, 0.2)


def test_it_is_given_up_when_it_was_silent_for_half_a_minute_and_stays_so() -> None:
    world = World(why=WHY)
    watch = world.watch()
    for seconds in (0.0, 10.0, LOST_SECONDS - 0.1):
        world.now = seconds
        watch.look()
        watch.refuse_lost()
    world.now = LOST_SECONDS + 0.2
    watch.look()
    world.why = None
    watch.look()
    with pytest.raises(StoreError) as lost:
        watch.refuse_lost()
    told = str(lost.value)
    assert told.startswith("the head of the Ray cluster at head:1 is lost since ")
    assert told.endswith(
        f": {WHY}; nothing of the study is lost: when the cluster is back, run the same command"
    )


def test_one_that_was_only_hidden_goes_on_and_is_counted_anew() -> None:
    world = World(why=WHY)
    watch = world.watch()
    watch.look()
    world.now, world.why = 20.0, None
    watch.look()
    world.now, world.why = 40.0, WHY
    watch.look()
    world.now = 40.0 + LOST_SECONDS - 0.1
    watch.look()
    watch.refuse_lost()
    assert world.asked == 1


@pytest.mark.parametrize("was_silent", [True, False], ids=["seen to go", "told by a call"])
def test_one_that_was_started_again_is_lost_at_once(was_silent: bool) -> None:
    world = World(why=WHY if was_silent else None)
    watch = world.watch()
    watch.look()
    world.now, world.why, world.cluster = 1.0, None, "two"
    watch.look()
    with pytest.raises(StoreError, match="it was started again, as another cluster; nothing"):
        watch.refuse_lost() if was_silent else watch.refuse_silent()


@pytest.mark.parametrize("then", ["one", "two"])
def test_one_that_does_not_tell_who_it_is_is_asked_again(then: str) -> None:
    world = World(why=WHY)
    watch = world.watch()
    watch.look()
    world.why, world.cluster = None, None
    for seconds in (1.0, 2.0, LOST_SECONDS + 3.0):
        world.now = seconds
        watch.look()
        watch.refuse_lost()
        watch.refuse_silent()
    world.cluster = then
    watch.look()
    asked = world.asked
    if then == "two":
        with pytest.raises(StoreError, match="it was started again, as another cluster"):
            watch.refuse_lost()
        return
    watch.look()
    watch.refuse_lost()
    assert world.asked == asked


def test_a_call_that_fails_while_it_is_silent_is_told_as_the_loss() -> None:
    world = World()
    watch = world.watch()
    watch.refuse_silent()
    world.why = WHY
    with pytest.raises(StoreError, match="is lost since"):
        watch.refuse_silent()


def test_it_is_looked_at_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between waves, where the driver calls nothing of Ray's."""
    monkeypatch.setattr(head, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(head, "_LOOK_AGAIN_SECONDS", 0.0)
    found = threading.Event()

    class Impatient(World):
        def silence(self, address: str) -> str | None:
            self.now += LOST_SECONDS
            found.set() if self.looks > 1 else None
            return super().silence(address)

    watch = Impatient(why=WHY).watch()
    with looking(watch):
        assert found.wait(30.0)
    with pytest.raises(StoreError, match="is lost since"):
        watch.refuse_lost()


def test_without_a_cluster_there_is_none_to_watch() -> None:
    assert head_watch() is None
