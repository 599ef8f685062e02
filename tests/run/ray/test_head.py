"""When the head of a joined cluster is given up; with a clock and a head of the test's own."""

from dataclasses import dataclass

import pytest

from phasetune import StoreError
from phasetune.run.ray.head import LOST_SECONDS, HeadWatch, head_watch

WHY = "no Ray head answers there (Connection refused)"


@dataclass
class World:
    now: float = 0.0
    why: str | None = None
    cluster: str = "one"
    looks: int = 0

    def silence(self, address: str) -> str | None:
        self.looks += 1
        return self.why

    def watch(self) -> HeadWatch:
        return HeadWatch(
            "head:1",
            cluster=lambda _: self.cluster,
            silence=self.silence,
            clock=lambda: self.now,
        )


def test_one_that_answers_is_asked_every_two_seconds() -> None:
    world = World()
    watch = world.watch()
    for tenth in range(100):
        world.now = tenth / 10
        watch.refuse_lost()
    assert world.looks == 5


def test_it_is_given_up_when_it_was_silent_for_half_a_minute() -> None:
    world = World(why=WHY)
    watch = world.watch()
    for seconds in (0.0, 10.0, LOST_SECONDS - 0.1):
        world.now = seconds
        watch.refuse_lost()
    world.now = LOST_SECONDS + 0.2
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
    watch.refuse_lost()
    world.now, world.why = 20.0, None
    watch.refuse_lost()
    world.now, world.why = 40.0, WHY
    watch.refuse_lost()
    world.now = 40.0 + LOST_SECONDS - 0.1
    watch.refuse_lost()


@pytest.mark.parametrize("was_silent", [True, False], ids=["seen to go", "told by a call"])
def test_one_that_was_started_again_is_lost_at_once(was_silent: bool) -> None:
    world = World(why=WHY)
    watch = world.watch()
    if was_silent:
        watch.refuse_lost()
    world.now, world.why, world.cluster = 1.0, None, "two"
    with pytest.raises(StoreError, match="it was started again, as another cluster; nothing"):
        watch.refuse_lost() if was_silent else watch.refuse_silent()


def test_a_call_that_fails_while_it_is_silent_is_told_as_the_loss() -> None:
    world = World()
    watch = world.watch()
    watch.refuse_silent()
    world.why = WHY
    with pytest.raises(StoreError, match="is lost since"):
        watch.refuse_silent()


def test_without_a_cluster_there_is_none_to_watch() -> None:
    assert head_watch() is None
