"""Nodes of a cluster that are lost, cut off, added and brought back while a study runs."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ray_nodes import Node, NodesApart, why_not_apart
from ray_one_host import NodeHere, NodesHere
from scripted import LOG, PAUSE
from torture.victim import LONGEST_SECONDS, STUDY, Victim
from torture.victim import wait_until as wait_some_time_until

pytestmark = [pytest.mark.torture, pytest.mark.ray]

STEPS = 24
CUT_SECONDS = 60.0
NOTICED_SECONDS = 90.0
LASTING = {
    **STUDY,
    "name": "lasting",
    "params": {"prepare": {"steps": 2}, "train": {"steps": STEPS, "noise": 0.1}},
    "phases": [
        {"name": "value", "grid": {"train.value": [0.1, 0.2, 0.3, 0.4]}},
        {"name": "other", "grid": {"train.other": [0.5, 0.6]}},
    ],
    "max_failures": 0,
}
wait_until = partial(wait_some_time_until, seconds=LONGEST_SECONDS)
Nodes = Any  # NodesApart or NodesHere, with nodes of their own
NodeOfEither = Node | NodeHere


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    victim = Victim(folder=tmp_path_factory.mktemp("undisturbed"), study=LASTING)
    assert victim.finish() == 0, victim.output()
    return victim.report.read_bytes()


@pytest.fixture
def pause_seconds() -> float:
    """What each step takes at least; a case with more to happen asks for more."""
    return 0.25


@pytest.fixture(params=["apart", "here"])
def nodes(tmp_path: Path, pause_seconds: float, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    reason = why_not_apart() if request.param == "apart" else None
    if reason is not None:
        pytest.skip(reason)
    environment = {LOG: str(tmp_path / "study" / "steps.log"), PAUSE: str(pause_seconds)}
    kind = NodesApart if request.param == "apart" else NodesHere
    with kind(tmp_path, environment=environment) as found:
        yield found


@pytest.fixture
def victim(nodes: Nodes, tmp_path: Path) -> Victim:
    return Victim(
        folder=tmp_path / "study",
        study=LASTING,
        arguments=("--address", nodes.address),
        prefix=nodes.prefix,
        environment=nodes.environment,
    )


def resumed(victim: Victim, run: str) -> bool:
    """Whether the artifact of a run says that the run went on from a checkpoint."""
    stage, _, key = run.rpartition("-")
    (path,) = victim.results.glob(f"store/{stage}/{key}*/manifest.json")
    return bool(json.loads(path.read_text())["provenance"]["resumed"])


def begun(victim: Victim, node: NodeOfEither) -> list[str]:
    """The run of each try that was begun on a node."""
    found = sorted(victim.results.glob("lasting/phases/*/attempts/*/tries/*/*-begun-*.json"))
    return [p.parent.name for p in found if node.hosts(json.loads(p.read_text()))]


def steps(victim: Victim) -> Counter[str]:
    """How often each step of each run was taken, as `<key> <step>`."""
    log = victim.folder / "steps.log"
    return Counter(log.read_text().splitlines() if log.exists() else [])


def is_in_the_middle(victim: Victim, node: NodeOfEither) -> bool:
    """Whether a run that was begun on a node took five steps and is not done."""
    return any(5 <= taken(victim, run) < STEPS / 2 for run in begun(victim, node))


def taken(victim: Victim, run: str) -> int:
    """How many different steps of a run were taken."""
    key = run.rpartition("-")[2]
    return sum(line.startswith(key) for line in steps(victim))


def repeated(victim: Victim) -> int:
    """How many steps were taken again."""
    return sum(count - 1 for count in steps(victim).values())


def is_told(victim: Victim) -> bool:
    """Whether it was told that a node is lost; Ray takes a minute to know of one without a link."""
    return "was lost; it is tried again, 2 of 11" in victim.output()


def finished(victim: Victim, process: subprocess.Popen[str], expected: bytes) -> None:
    """Wait for the end, which is that of an undisturbed study."""
    assert process.wait(LONGEST_SECONDS) == 0, victim.output()
    assert victim.report.read_bytes() == expected


def test_runs_of_a_lost_node_go_on_elsewhere_from_their_last_checkpoint(
    nodes: Nodes, victim: Victim, expected: bytes
) -> None:
    lost, other = nodes.add(), nodes.add()
    process = victim.start()
    wait_until(lambda: is_in_the_middle(victim, lost), process)
    (run,) = [run for run in begun(victim, lost) if 5 <= taken(victim, run) < STEPS]
    nodes.lose(lost)
    wait_until(lambda: run in begun(victim, other), process)
    finished(victim, process, expected)
    assert is_told(victim)
    assert repeated(victim) <= 1
    assert resumed(victim, run)


@pytest.mark.parametrize("pause_seconds", [0.8])
def test_a_node_that_is_cut_off_does_no_harm_and_is_used_again_when_it_is_back(
    nodes: Nodes, victim: Victim, expected: bytes
) -> None:
    if not nodes.can_cut:
        pytest.skip("nodes that share an address have no links to cut")
    lost, other = nodes.add(), nodes.add()
    process = victim.start()
    wait_until(lambda: is_in_the_middle(victim, lost), process)
    runs = begun(victim, lost)
    nodes.cut(lost)
    cut_at = time.monotonic()
    wait_until(lambda: time.monotonic() > cut_at + CUT_SECONDS and is_told(victim), process)
    nodes.mend(lost)
    wait_until(lambda: not lost.processes("raylet/raylet"), process)
    nodes.start(lost)
    wait_until(lambda: len(begun(victim, lost)) > len(runs), process)
    finished(victim, process, expected)
    assert set(runs[-1:]) <= set(begun(victim, other))
    assert repeated(victim) <= 2


def test_a_node_that_joins_during_a_phase_is_used(
    nodes: Nodes, victim: Victim, expected: bytes
) -> None:
    first = nodes.add()
    process = victim.start()
    wait_until(lambda: is_in_the_middle(victim, first), process)
    second = nodes.add()
    wait_until(lambda: begun(victim, second), process)
    assert len(list(victim.results.glob("lasting/phases/*"))) == 1
    finished(victim, process, expected)
    assert repeated(victim) == 0


def test_workers_that_die_on_a_node_that_lives_count_as_failures(
    nodes: Nodes, victim: Victim
) -> None:
    node = nodes.add()
    process = victim.start()
    wait_until(lambda: is_in_the_middle(victim, node), process)
    for pid in node.workers():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "FAILED" in victim.output(), process)
    assert "the worker died; tried 1 time" in victim.output()
    victim.end(process)


def test_the_same_command_goes_on_when_the_head_was_lost(
    nodes: Nodes, victim: Victim, expected: bytes
) -> None:
    node = nodes.add()
    process = victim.start()
    wait_until(lambda: is_in_the_middle(victim, node), process)
    nodes.lose_head()
    assert process.wait(NOTICED_SECONDS) != 0
    assert "error: " in victim.output()
    stored = victim.stored()
    nodes.restart(node)
    victim.arguments = ("--address", nodes.address)
    before = steps(victim)
    finished(victim, victim.start(), expected)
    again = {line.partition(" ")[0] for line in steps(victim) - before}
    assert not again & set(stored)
    assert repeated(victim) <= 1
