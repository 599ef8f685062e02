"""A task that measures is cancelled while it is under way, and never once it has ended."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import Heard
from phasetune.run.interrupt import Interrupted, StopSwitch
from phasetune.run.packing import NotMeasured, StepMemory
from phasetune.run.ray.measuring import measured_on_cluster
from phasetune.run.ray.placement import Ask

STEP = StepMemory(taken_bytes=1, total_bytes=2)


@dataclass
class Ray:
    """A cluster with one task, which has ended or never will."""

    has_ended: bool
    cancelled: list[str] = field(default_factory=list)

    def remote(self, **_: Any) -> Any:
        return lambda _: SimpleNamespace(remote=lambda _: "task")

    def wait(self, tasks: list[str], **_: Any) -> tuple[list[str], list[str]]:
        return (tasks, []) if self.has_ended else ([], tasks)

    def get(self, _: str) -> StepMemory:
        assert self.has_ended
        return STEP

    def cancel(self, task: str, *, force: bool) -> None:
        assert force
        self.cancelled.append(task)

    def nodes(self) -> list[Any]:
        return []


def measure(monkeypatch: pytest.MonkeyPatch, ray: Ray, stop: StopSwitch) -> Any:
    for name in ("remote", "wait", "get", "cancel", "nodes"):
        monkeypatch.setattr(f"ray.{name}", getattr(ray, name))
    request: Any = SimpleNamespace(stall_timeout_seconds=0.0)
    return measured_on_cluster(request, ask=Ask(cpu=1, gpu=1), listener=Heard(), stop=stop)


def test_what_has_ended_is_not_cancelled_which_could_abort_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = Ray(has_ended=True)
    assert measure(monkeypatch, ray, StopSwitch()) == STEP
    assert ray.cancelled == []


def test_what_takes_too_long_or_is_wanted_no_more_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray, stop = Ray(has_ended=False), StopSwitch()
    found = measure(monkeypatch, ray, stop)
    assert found == NotMeasured(why="nothing came within 0 s")
    stop.ask(15)
    with pytest.raises(Interrupted):
        measure(monkeypatch, ray, stop)
    assert ray.cancelled == ["task", "task"]
