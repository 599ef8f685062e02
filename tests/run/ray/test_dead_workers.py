"""What follows where Tune ends a run with an error; Ray's words and the tries stand in for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune.plan.trial import Run
from phasetune.run.events import Noticed, RunFailed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.backend import RayBackend
from phasetune.run.ray.places import Place
from phasetune.run.ray.tries import Cause, Tries
from phasetune.run.request import RunRequest, WorkloadRequest
from phasetune.store.failures import FailureStore
from phasetune.study.schema import Numerics

HERE = Place(node="1f", address="10.0.0.1", host="a", actor="a1")
NODE_DIED = "The actor died because its node has died."
WORKER_DIED = "The actor died unexpectedly before finishing this task."


def request(root: Path) -> RunRequest:
    workload = WorkloadRequest(
        path="w", sources=(), folders=(), code="", data={}, numerics=Numerics(),
        working_directory=str(root),
    )  # fmt: skip
    run = Run(key="k", stage="s", function="w:s", params={}, seed=0, fold=None, parent=None)
    return RunRequest(
        run=run, parent_stage=None, label="run k", point={}, workload=workload, results=root,
        study="one", attempt=root / "one" / "attempt", stall_timeout_seconds=2.0,
    )  # fmt: skip


class Settling:
    """A backend that is handed what Tune says of one run, after some tries of it."""

    def __init__(self, study: Any, root: Path, heard: Heard) -> None:
        self.request = request(root)
        self.heard = heard
        self.tries = Tries(self.request, max_failures=study.max_failures)
        self._backend = RayBackend(study, log=root / "log", address=None, max_concurrent=None)

    def end(self, words: str) -> tuple[list[str], str | None]:
        """What is noticed, and the failure that is recorded."""
        result = SimpleNamespace(path=str(self.request.folder), error=words, metrics={})
        self._backend._settle([[self.request]], [result], self.heard, StopSwitch())
        found = FailureStore(self.request.paths.store).get("s", "k")
        failures = [event.failure for event in self.heard.of(RunFailed)]
        assert failures == ([] if found is None else [found])
        noticed = [event.message for event in self.heard.of(Noticed)]
        return noticed, None if found is None else found.message


@pytest.fixture(params=[0, 2], ids="max_failures {}".format)
def settling(
    request: pytest.FixtureRequest, scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> Settling:
    return Settling(scripted_study(max_failures=request.param), tmp_path, heard)


@pytest.mark.parametrize(
    ("words", "told"),
    [(NODE_DIED, "its node was lost"), (WORKER_DIED, "the worker died")],
    ids=["node", "worker"],
)
def test_a_run_that_was_never_begun_is_left_pending_and_ray_says_why(
    settling: Settling, words: str, told: str
) -> None:
    assert settling.end(words) == ([f"run k: {told}; it is tried again"], None)
    assert settling.tries.deaths() == []


def test_a_lost_node_that_nobody_noted_is_no_failure_of_a_run_that_was_begun(
    settling: Settling,
) -> None:
    settling.tries.begin(HERE)
    assert settling.end(NODE_DIED) == (["run k: its node was lost; it is tried again"], None)
    assert settling.tries.deaths() == [Cause.NODE_LOST]


def test_a_worker_that_died_for_the_last_time_is_a_failure(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    settling = Settling(scripted_study(max_failures=1), tmp_path, heard)
    settling.tries.begin(HERE)
    settling.tries.note_death(Cause.WORKER_DIED, "first")
    settling.tries.begin(HERE)
    assert settling.end(WORKER_DIED) == ([], "the worker died; tried 2 times")
    failures = FailureStore(settling.request.paths.store)
    assert failures.traceback("s", "k").read_text() == WORKER_DIED


def test_what_was_noted_is_not_counted_twice(settling: Settling) -> None:
    settling.tries.begin(HERE)
    settling.tries.note_death(Cause.NODE_LOST, "first")
    assert settling.end(WORKER_DIED) == (["run k: its node was lost; it is tried again"], None)
    assert settling.tries.deaths() == [Cause.NODE_LOST]
