"""What runs take of which nodes."""

from types import SimpleNamespace
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune.errors import StudyError
from phasetune.run.packing import StepMemory
from phasetune.run.ray import placement, trainable
from phasetune.run.ray.placement import (
    ACCELERATOR,
    Ask,
    Node,
    Placement,
    ask_of,
    bundles,
    most_on_one_gpu,
    refuse_unavailable,
)
from phasetune.run.request import RunRequest
from phasetune.store.space import GIB
from phasetune.study.resources import Resources


def node(cpus: float, gpus: float = 0, accelerator: str = "", **labels: str) -> Node:
    named = {"ray.io/node-id": "f00", **({ACCELERATOR: accelerator} if accelerator else {})}
    return Node(cpus=cpus, gpus=gpus, labels={**named, **labels})


def asks(**resources: Any) -> Resources:
    return Resources.model_validate(resources)


SMALL, LARGE = node(8, 1, "T4", zone="a"), node(64, 4, "A100", zone="b")
BARE = node(32, zone="b")
A100 = ((ACCELERATOR, "A100"),)


@pytest.mark.parametrize(
    ("resources", "nodes", "found"),
    [
        (asks(), [BARE], Ask(cpu=2, gpu=0)),
        (asks(), [node(1)], Ask(cpu=1, gpu=0)),
        (asks(cpu=0.5), [BARE], Ask(cpu=0.5, gpu=0)),
        (asks(), [LARGE], Ask(cpu=16, gpu=1)),
        (asks(), [BARE, LARGE], Ask(cpu=16, gpu=1)),
        (asks(), [SMALL, LARGE], Ask(cpu=8, gpu=1)),
        (asks(gpu=2), [SMALL, LARGE], Ask(cpu=32, gpu=2)),
        (asks(gpu=0), [LARGE], Ask(cpu=2, gpu=0)),
        (asks(gpu=0.25), [SMALL], Ask(cpu=2, gpu=0.25)),
        (asks(gpu=1 / 3), [node(12, 1)], Ask(cpu=4, gpu=0.3333)),
        (asks(gpu=1, cpu=3), [LARGE], Ask(cpu=3, gpu=1)),
        (asks(accelerator="A100"), [SMALL, LARGE], Ask(cpu=16, gpu=1, labels=A100)),
        (asks(labels={"zone": "a"}), [SMALL, LARGE], Ask(cpu=8, gpu=1, labels=(("zone", "a"),))),
        (asks(gpu="auto"), [BARE], Ask(cpu=2, gpu=0)),
        (asks(gpu="auto"), [SMALL], Ask(cpu=4, gpu=0.5)),
        (asks(gpu=0.25), [node(2, 1)], Ask(cpu=0.5, gpu=0.25)),
        (asks(gpu=1 / 3), [node(1, 1)], Ask(cpu=0.3333, gpu=0.3333)),
        (asks(), [node(2, 4)], Ask(cpu=0.5, gpu=1)),
        (asks(gpu=0.5), [node(2, 8), LARGE], Ask(cpu=0.125, gpu=0.5)),
        (asks(gpu=0.5), [node(0, 1), SMALL], Ask(cpu=4, gpu=0.5)),
        (asks(gpu=0.01), [node(0, 1)], Ask(cpu=1, gpu=0.01)),
    ],
    ids=[
        "a CPU per thread",
        "fewer CPUs than threads",
        "CPUs as asked",
        "a GPU and its CPUs",
        "the share of the node that has GPUs",
        "the least share of all that fit",
        "the share of the only node that fits",
        "none of the GPUs",
        "a part and its CPUs",
        "a third",
        "both as asked",
        "an accelerator",
        "a label",
        "auto without a GPU",
        "auto",
        "a part of which fewer CPUs are there than parts",
        "a third of one CPU",
        "more GPUs than CPUs",
        "the least part of a CPU",
        "a node without CPUs counts for nothing",
        "a GPU that no CPU belongs to",
    ],
)
def test_what_a_run_takes(resources: Resources, nodes: list[Node], found: Ask) -> None:
    assert ask_of(resources, nodes, threads=2, part=0.5) == found


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7, 16])
def test_as_many_runs_fit_on_a_gpu_as_its_parts_say(cpus: int, parts: int) -> None:
    ask = ask_of(asks(gpu=1 / parts), [node(cpus, 1)], threads=4)
    assert round(ask.cpu * 10_000) * parts <= cpus * 10_000
    assert round(ask.gpu * 10_000) * parts <= 10_000


def test_a_stage_that_uses_no_gpu_takes_none_and_runs_on_any_accelerator() -> None:
    asked = asks(gpu=1, accelerator="A100", labels={"zone": "b"})
    found = ask_of(asked, [LARGE, BARE], threads=2, uses_gpu=False)
    assert found == Ask(cpu=2, gpu=0, labels=(("zone", "b"),))
    assert found.fits(BARE)


@pytest.mark.parametrize(
    ("resources", "nodes", "most"),
    [
        (asks(gpu="auto"), [LARGE], 8),
        (asks(gpu="auto"), [SMALL, LARGE, BARE], 4),
        (asks(gpu="auto", cpu=16), [SMALL, LARGE], 1),
        (asks(gpu="auto", accelerator="A100"), [SMALL, LARGE], 8),
    ],
    ids=["CPUs of a GPU", "of the least node", "never none", "of the node asked for"],
)
def test_no_more_runs_share_a_gpu_than_have_cpus(
    resources: Resources, nodes: list[Node], most: int
) -> None:
    assert most_on_one_gpu(resources, nodes, threads=2) == most


@pytest.mark.parametrize(
    ("ask", "nodes", "asked", "there", "way_out"),
    [
        (
            Ask(cpu=1, gpu=3),
            [node(2), node(2)],
            "1 CPU and 3 GPU",
            "2 x 2 CPU and 0 GPU",
            "ask for less",
        ),
        (
            Ask(cpu=1, gpu=0.5, labels=A100),
            [BARE, SMALL],
            "1 CPU and 0.5 GPU of a node with accelerator A100",
            "32 CPU and 0 GPU (zone=b), 8 CPU and 1 GPU (T4, zone=a)",
            "ask for another",
        ),
        (
            Ask(cpu=1, gpu=8, labels=(*A100, ("zone", "b"))),
            [LARGE],
            "1 CPU and 8 GPU of a node with accelerator A100 and zone=b",
            "64 CPU and 4 GPU (A100, zone=b)",
            "ask for less",
        ),
    ],
    ids=["too much", "a label that no node has", "too much of the node that has it"],
)
def test_what_no_node_has_is_refused(
    ask: Ask, nodes: list[Node], asked: str, there: str, way_out: str
) -> None:
    with pytest.raises(StudyError) as caught:
        refuse_unavailable([Ask(cpu=1, gpu=0), ask], nodes)
    expected = f"a run asks for {asked}, but the machines have {there}; {way_out}"
    assert str(caught.value) == f"resources_per_trial: {expected}"


def test_what_one_of_the_nodes_has_is_not_refused() -> None:
    refuse_unavailable([Ask(cpu=1, gpu=4, labels=A100), Ask(cpu=32, gpu=0)], [SMALL, BARE, LARGE])


def test_bundles_name_the_labels_and_are_equal_where_asks_are() -> None:
    made = bundles(Ask(cpu=1, gpu=0.5, labels=A100))
    assert made.bundles == [{"CPU": 1.0, "GPU": 0.5}]
    assert made == bundles(Ask(cpu=1, gpu=0.5, labels=A100))
    assert made != bundles(Ask(cpu=1, gpu=0.5))
    assert hash(made) == hash(bundles(Ask(cpu=1, gpu=0.5, labels=A100)))


@pytest.mark.parametrize(
    ("granted", "part"),
    [({"GPU": 0.25}, 0.25), ({"GPU": 1.0}, 1.0), ({"GPU": 2.0}, 1.0), ({}, 1.0)],
)
def test_a_worker_may_take_the_part_that_ray_granted(
    monkeypatch: pytest.MonkeyPatch, granted: dict[str, float], part: float
) -> None:
    context = SimpleNamespace(get_assigned_resources=lambda: granted)
    monkeypatch.setattr("ray.get_runtime_context", lambda: context)
    assert trainable._granted_part() == part


def job(stage: str, *, uses_gpu: bool = True, **settings: Any) -> list[Any]:
    run = SimpleNamespace(stage=stage, uses_gpu=uses_gpu)
    return [SimpleNamespace(run=run, settings=settings, label=f"{stage} {settings}")]


def test_under_auto_each_stage_takes_the_part_that_was_measured(
    scripted_study: StudyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Ask] = []
    told: list[str] = []

    def measure(_: RunRequest, ask: Ask) -> StepMemory:
        measured.append(ask)
        return StepMemory(taken_bytes=3 * GIB, total_bytes=20 * GIB)

    monkeypatch.setattr(placement, "live_nodes", lambda: (node(8, 1),))
    found = Placement(scripted_study(resources_per_trial={"gpu": "auto"}))
    found.look()
    jobs = [job("load", uses_gpu=False), job("fit", size=1), job("fit", size=2)]
    quarter = Ask(cpu=2, gpu=0.25)
    expected = [Ask(cpu=1, gpu=0), quarter, quarter]
    assert found.asks(jobs, measure=measure, tell=told.append) == expected
    assert measured == [Ask(cpu=8, gpu=1)]
    assert told == ["fit {'size': 2} took 3.0 of 20.0 GiB; 4 at once, each 1/4 of a GPU"]
    assert found.gpus == 1.0


def test_without_gpus_auto_measures_nothing(
    scripted_study: StudyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: RunRequest, __: Ask) -> StepMemory:
        raise AssertionError

    monkeypatch.setattr(placement, "live_nodes", lambda: (node(8),))
    found = Placement(scripted_study(resources_per_trial={"gpu": "auto"}))
    found.look()
    assert found.asks([job("fit")], measure=measure, tell=pytest.fail) == [Ask(cpu=1, gpu=0)]
    assert found.gpus == 0.0
