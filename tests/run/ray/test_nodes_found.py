"""What becomes of a node's answer, or of none; with answers of the test's own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    TaskUnschedulableError,
    WorkerCrashedError,
)

from conftest import Heard
from phasetune import StudyError
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray import nodes
from phasetune.run.ray.nodes import LivingNode, Nodes
from phasetune.run.ray.placement import Node
from phasetune.run.ray.visit import Found
from phasetune.store.paths import ResultsPaths

ONE = LivingNode(id="a", name="a (10.0.0.1)", has=Node(cpus=1, gpus=0, labels={}))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NodeDiedError("the node is gone"), None),
        (TaskUnschedulableError("no such node"), None),
        (WorkerCrashedError(), "the process that looked there died ("),
        (ModuleNotFoundError("No module named 'phasetune'"), "it can't execute phasetune (No mod"),
        (OutOfMemoryError("too much"), "it can't execute phasetune (too much); install the same"),
    ],
    ids=["node died", "node is gone", "worker died", "not installed", "no memory"],
)
def test_a_node_that_left_is_not_refused(
    error: Exception, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "get", get)
    found = nodes._found(None, ONE, None)
    assert (found is None) is (told is None)
    if found is not None and told is not None:
        (lack,) = found.lacks
        assert lack.startswith(told)


def test_one_that_left_is_visited_when_it_is_there_again(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{}, {"a": Found(software={}, lacks=("numpy is another",))}, {}])
    monkeypatch.setattr(nodes, "living_nodes", lambda: [ONE])
    monkeypatch.setattr(nodes, "_fingerprints", lambda _: {})
    monkeypatch.setattr(nodes, "visited", lambda *_, **__: next(answers))
    known = Nodes()
    paths = ResultsPaths(tmp_path)
    request: Any = SimpleNamespace(attempt=tmp_path, paths=paths, workload=None)

    def look() -> None:
        known.refuse_unfit(request, fits=lambda _: True, listener=heard, stop=StopSwitch())

    look()
    with pytest.raises(StudyError, match="numpy is another"):
        look()
