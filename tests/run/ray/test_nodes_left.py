"""That no machine is left for the runs is told once per loss; with nodes and a clock of its own."""

import pickle
from dataclasses import dataclass, field

import pytest

from conftest import Heard
from phasetune.run.events import Noticed
from phasetune.run.ray.nodes import LivingNode, fits_any
from phasetune.run.ray.nodes_left import TOLD_SECONDS, NodesLeft
from phasetune.run.ray.placement import Ask, Node

SMALL = LivingNode(id="a", name="a (10.0.0.1)", has=Node(cpus=1, gpus=0, labels={}))
LARGE = LivingNode(id="b", name="b (10.0.0.2)", has=Node(cpus=8, gpus=1, labels={}))


@dataclass
class Cluster:
    heard: Heard
    nodes: list[LivingNode] = field(default_factory=lambda: [SMALL, LARGE])
    now: float = 0.0

    def __post_init__(self) -> None:
        fits = fits_any([Ask(cpu=4, gpu=1)])
        clock = lambda: self.now  # noqa: E731
        self.looking = NodesLeft(fits, self.heard, nodes=lambda: self.nodes, clock=clock)

    def wait(self, seconds: float) -> list[str]:
        """What is told while this time goes by."""
        before = len(self.heard.events)
        for _ in range(int(seconds)):
            self.now += 1.0
            self.looking.on_step_begin(0, [])
        return [event.message for event in self.heard.of(Noticed)[before:]]


@pytest.fixture
def cluster(heard: Heard) -> Cluster:
    return Cluster(heard)


def test_while_one_fits_nothing_is_told(cluster: Cluster) -> None:
    cluster.nodes = [LARGE]
    assert cluster.wait(3600) == []


def test_each_loss_is_told_once_and_so_is_its_end(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.nodes = [SMALL]
        assert cluster.wait(TOLD_SECONDS) == []
        (told,) = cluster.wait(600)
        assert told.startswith("warning: no machine of the cluster has what a run asks for any")
        cluster.nodes = [SMALL, LARGE]
        assert cluster.wait(600) == ["a machine for the runs is there again"]


def test_a_short_loss_is_not_told(cluster: Cluster) -> None:
    for _ in range(5):
        cluster.nodes = []
        assert cluster.wait(TOLD_SECONDS - 10) == []
        cluster.nodes = [LARGE]
        assert cluster.wait(10) == []


def test_tune_can_keep_it_without_what_it_holds(cluster: Cluster) -> None:
    kept = pickle.loads(pickle.dumps(cluster.looking))  # noqa: S301 - what was just made
    held = {"_fits", "_listener", "_nodes", "_none_since", "_is_told"}
    assert {name: value for name, value in vars(kept).items() if value is not None}.keys() == (
        vars(cluster.looking).keys() - held
    )
    kept.on_step_begin(0, [])  # as a restored Tuner does
