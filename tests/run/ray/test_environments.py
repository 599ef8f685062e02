"""In which environment classes runs of a cluster may be; nodes and their answers stand in."""

from typing import Any

import pytest

from phasetune.errors import StudyError
from phasetune.run import machine
from phasetune.run.devices import Gpu
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray import environments
from phasetune.run.ray.environments import NodeEnvironments
from phasetune.run.ray.nodes import LivingNode
from phasetune.run.ray.placement import Ask, Node
from phasetune.store.provenance import environment_class
from phasetune.study.schema import Numerics

GPU, CPU = Ask(cpu=1, gpu=1), Ask(cpu=1, gpu=0)


def living(name: str, gpus: float) -> LivingNode:
    return LivingNode(id=name, name=name, has=Node(cpus=8, gpus=gpus, labels={}))


class Cluster:
    """A head without GPUs and two nodes with them; remembers who was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes = [living("head", 0), living("old", 1), living("new", 1)]
        self.precisions = {"old": "fp16", "new": "bf16"}
        self.asked: list[str] = []
        monkeypatch.setattr(environments, "asked", self._answers)
        self._known = NodeEnvironments(Numerics(), nodes=lambda: self.nodes)

    def _answers(self, nodes: list[LivingNode], precision: str, **_: Any) -> dict[str, Any]:
        assert precision == "auto"
        self.asked += [node.id for node in nodes]
        return {node.id: ("cuda", self.precisions[node.id]) for node in nodes}

    def precisions_of(self, ask: Ask) -> list[str]:
        found = self._known.of(ask, stop=StopSwitch())
        device = "cuda" if ask.gpu else "cpu"
        precisions = [str(one["precision"]) for one in found]
        assert found == [
            environment_class(device=device, precision=p, threads=1) for p in precisions
        ]
        return precisions


def test_each_node_that_a_run_could_go_to_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    assert cluster.precisions_of(GPU) == ["fp16", "bf16"]
    cluster.nodes = [living("head", 0), living("new", 1)]
    assert cluster.precisions_of(GPU) == ["fp16", "bf16"]  # of what is away since as well
    assert cluster.asked == ["old", "new"]


def test_nobody_is_asked_for_a_run_on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    assert cluster.precisions_of(CPU) == ["fp32"]
    assert cluster.asked == []


def test_without_a_node_to_ask_nothing_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    with pytest.raises(StudyError, match="a run asks for 1 CPU and 2 GPU, and no machine of the"):
        cluster.precisions_of(Ask(cpu=1, gpu=2))


@pytest.mark.parametrize(
    ("capabilities", "precision", "found"),
    [
        ((), "auto", ("cpu", "fp32")),
        ((8.0, 9.0), "auto", ("cuda", "bf16")),
        ((9.0, 7.5), "auto", ("cuda", "fp16")),
        ((7.5,), "fp32", ("cuda", "fp32")),
    ],
    ids=str,
)
def test_a_node_tells_of_gpus_that_are_hidden_from_who_asks_there(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: tuple[float, ...],
    precision: str,
    found: tuple[str, str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(machine, "_torch_has_cuda", lambda: True)
    gpus = [Gpu(compute_capability=c, **UNTOLD) for c in capabilities]
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    assert environments._device_here(precision) == found


UNTOLD: Any = {"name": "", "total_bytes": None, "free_bytes": None}
