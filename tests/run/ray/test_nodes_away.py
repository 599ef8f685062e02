"""What runs ask for while nodes of a cluster come and go, and where GPUs are of several types."""

from types import SimpleNamespace
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune.errors import StudyError
from phasetune.run.packing import StepMemory
from phasetune.run.ray import placement
from phasetune.run.ray.placement import ACCELERATOR, Ask, Node, Placement
from phasetune.run.request import RunRequest
from phasetune.store.space import GIB
from phasetune.study.schema import Study

HEAD, BARE = Node(cpus=0, gpus=0, labels={}), Node(cpus=8, gpus=0, labels={"zone": "b"})
SMALL = Node(cpus=8, gpus=1, labels={ACCELERATOR: "T4", "zone": "a"})
LARGE = Node(cpus=64, gpus=4, labels={ACCELERATOR: "A100", "zone": "b"})
A100 = ((ACCELERATOR, "A100"),)
FIT: list[Any] = [
    SimpleNamespace(run=SimpleNamespace(stage="fit", uses_gpu=True), settings={}, label="fit")
]


class Cluster:
    """Nodes that come and go, and a placement that looks at them."""

    def __init__(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes: tuple[Node, ...] = ()
        self.told: list[str] = []
        self._placement = Placement(study)
        monkeypatch.setattr(placement, "live_nodes", lambda: self.nodes)

    def asks(self, *nodes: Node, step: StepMemory | None = None) -> list[Ask]:
        """What a run takes in the next wave, while these nodes are there."""

        def measure(_: RunRequest, __: Ask) -> StepMemory:
            assert step is not None, "nothing is to be measured"
            return step

        self.nodes = nodes
        self._placement.look()
        return self._placement.asks([FIT], measure=measure, tell=self.told.append)


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ({}, Ask(cpu=16, gpu=1)),
        ({"gpu": 1}, Ask(cpu=16, gpu=1)),
        ({"accelerator": "A100"}, Ask(cpu=16, gpu=1, labels=A100)),
        ({"gpu": 0, "cpu": 48}, Ask(cpu=48, gpu=0)),
        ({"labels": {"zone": "b"}}, Ask(cpu=16, gpu=1, labels=(("zone", "b"),))),
    ],
    ids=str,
)
def test_a_node_that_is_away_between_two_waves_is_still_asked_for(
    scripted_study: StudyMaker,
    monkeypatch: pytest.MonkeyPatch,
    resources: dict[str, Any],
    found: Ask,
) -> None:
    cluster = Cluster(scripted_study(resources_per_trial=resources), monkeypatch)
    assert cluster.asks(HEAD, LARGE) == [found]
    assert cluster.asks(HEAD) == [found]
    assert cluster.asks(HEAD, BARE) == [found]
    assert cluster.asks() == [found]
    assert cluster.asks(HEAD, LARGE) == [found]


def test_what_never_was_there_is_refused_with_each_kind_of_node_once(
    scripted_study: StudyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(scripted_study(resources_per_trial={"gpu": 8}), monkeypatch)
    for number in range(3):  # it is lost and joins again, by another name
        again = {**LARGE.labels, "ray.io/node-id": f"b{number}"}
        with pytest.raises(StudyError) as caught:
            cluster.asks(BARE, Node(cpus=64, gpus=4, labels=again))
        has = "8 CPU and 0 GPU (zone=b), 64 CPU and 4 GPU (A100, zone=b)"
        assert str(caught.value).endswith(f"but the machines have {has}; ask for less")


def test_under_auto_gpus_of_several_types_are_told_once_and_taken_whole(
    scripted_study: StudyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(scripted_study(resources_per_trial={"gpu": "auto"}), monkeypatch)
    for _ in range(2):
        assert cluster.asks(SMALL, LARGE) == [Ask(cpu=8, gpu=1)]
    assert cluster.asks(LARGE) == [Ask(cpu=8, gpu=1)]  # the small one is away
    (told,) = cluster.told
    assert told == (
        "warning: resources_per_trial.gpu: auto, but the GPUs are of several types (A100, T4), and "
        "a part of one may be too small on another; each run takes a whole GPU. Ask for one type "
        "(resources_per_trial.accelerator), or for a part that fits on all of them"
    )


@pytest.mark.parametrize(
    ("resources", "nodes", "labels"),
    [
        ({"gpu": "auto", "accelerator": "A100"}, [SMALL, LARGE], A100),
        ({"gpu": "auto", "labels": {"zone": "b"}}, [SMALL, LARGE], (("zone", "b"),)),
        ({"gpu": "auto"}, [LARGE, LARGE, BARE], ()),
    ],
    ids=["asked for", "one by its label", "one type"],
)
def test_under_auto_gpus_of_one_type_are_measured(
    scripted_study: StudyMaker,
    monkeypatch: pytest.MonkeyPatch,
    resources: dict[str, Any],
    nodes: list[Node],
    labels: Any,
) -> None:
    cluster = Cluster(scripted_study(resources_per_trial=resources), monkeypatch)
    step = StepMemory(taken_bytes=3 * GIB, total_bytes=20 * GIB)
    assert cluster.asks(*nodes, step=step) == [Ask(cpu=4, gpu=0.25, labels=labels)]
    assert not any(text.startswith("warning") for text in cluster.told)
