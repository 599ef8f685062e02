"""A cluster of three Ray nodes on this machine: what a run costs there, and a node that is lost.

Each node has a network namespace of its own, which takes root (`tests/ray_nodes.py`). First, runs
that do nothing on the three nodes, one CPU each and two at a time, against a private local cluster,
start-up apart. Then one long run, whose node is killed and whose node's link is cut, again and
again: how long until its next step is reported from elsewhere, and how many steps are taken again.

    python benchmarks/three_nodes.py [RUNS] [LOSSES]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from measuring import milliseconds, spread, timed

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from phasetune import Study, run_study
from phasetune.run.ray.session import cluster
from phasetune.run.ray.terminal import Terminal
from ray_nodes import Node, NodesApart, wait_for, why_not_apart
from scripted import LOG, PAUSE
from torture.victim import STUDY, Victim

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
LOSSES = int(sys.argv[2]) if len(sys.argv) > 2 else 5
CUTS = 3
REPEATS = 5
STEP_SECONDS = 0.2
MOST_SECONDS = 120.0
STEPS = 3000
LONG = {
    **STUDY,
    "name": "long",
    "params": {"prepare": {"steps": 1}, "train": {"steps": STEPS}},
    "phases": [{"name": "one", "points": [{}]}],
}
_DRIVE = "--drive"


def drive(address: str | None, *, runs: int) -> None:
    """In a process of its own: a study of runs that do nothing, several times; prints seconds."""
    study = Study.model_validate(
        {
            "name": "trivial",
            "workload": "trivial",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "tracking": "none",
            "phases": [{"name": "one", "grid": {"nothing.number": list(range(runs))}}],
            "final": {"refit": False, "test": False},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "ray.log")
        with terminal.quietly(), cluster(address):
            found = list[float]()
            for number in range(REPEATS + 1):
                at = Path(folder) / str(number)
                go = partial(run_study, study, results=at, address=address, max_concurrent=2)
                found.append(timed(go))
    print(json.dumps(found[1:]))  # the first imports


def driven(address: str | None, nodes: NodesApart) -> list[float]:
    """What `drive` printed, on the head node where it has an address."""
    prefix = [] if address is None else nodes.prefix
    done = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, __file__, str(RUNS), str(LOSSES), _DRIVE, address or "private"],
        env={**os.environ, **nodes.environment},
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


class LongRun:
    """A study whose one run goes on for long, and what is known of its steps."""

    def __init__(self, nodes: NodesApart, folder: Path) -> None:
        self._nodes = nodes
        self.victim = Victim(
            folder=folder,
            study=LONG,
            arguments=("--address", nodes.address),
            prefix=nodes.prefix,
            environment=nodes.environment,
        )
        self.process = self.victim.start()

    def steps(self) -> list[str]:
        """The steps of the run that were taken, in order."""
        log = self.victim.folder / "steps.log"
        return log.read_text().splitlines()[1:] if log.exists() else []

    def repeated(self) -> int:
        """How many steps were taken again."""
        return sum(count - 1 for count in Counter(self.steps()).values())

    def node(self) -> Node:
        """The node that the newest try of the run was begun on."""
        marks = sorted(self.victim.results.glob("long/phases/*/attempts/*/tries/train-*/*-begun-*"))
        place = json.loads(marks[-1].read_text())
        return next(node for node in self._nodes.nodes if node.hosts(place))

    def wait_for_steps(self, count: int) -> None:
        """Wait until so many more steps were taken."""
        most = len(self.steps()) + count
        wait_for(lambda: len(self.steps()) >= most, seconds=MOST_SECONDS)

    def recovery_seconds(self, *, is_cut: bool) -> float:
        """Lose the node of the run, and give it back; the seconds until the next step."""
        self.wait_for_steps(10)
        lost = self.node()
        if is_cut:
            self._nodes.cut(lost)
        else:
            self._nodes.lose(lost)
        began = time.monotonic()
        wait_for(lambda: self.node() is not lost, seconds=MOST_SECONDS)
        self.wait_for_steps(1)
        seconds = time.monotonic() - began
        self._nodes.mend(lost)
        self._nodes.end(lost)
        self._nodes.start(lost)
        return seconds


def main() -> None:
    reason = why_not_apart()
    if reason is not None:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {LOG: str(folder / "study" / "steps.log"), PAUSE: str(STEP_SECONDS)}
        with NodesApart(folder, environment=environment, head_cpus=1) as nodes:
            nodes.add()
            nodes.add()
            for title, address in (("three nodes", nodes.address), ("private", None)):
                times = driven(address, nodes)
                print(
                    f"{title}: {RUNS} runs: {spread(times)} s, {milliseconds(times, of=RUNS)} a run"
                )
        with NodesApart(folder, environment=environment) as nodes:
            nodes.add()
            nodes.add()
            run = LongRun(nodes, folder / "study")
            for title, count, is_cut in (("killed", LOSSES, False), ("cut off", CUTS, True)):
                before = run.repeated()
                times = [run.recovery_seconds(is_cut=is_cut) for _ in range(count)]
                again = run.repeated() - before
                print(f"its node is {title}: {spread(times)} s until its next step; {again} steps")
                print(f"  of {STEP_SECONDS:g} s taken again in {count} losses", flush=True)
            run.victim.end(run.process)


if __name__ == "__main__":
    if _DRIVE in sys.argv:
        drive(None if sys.argv[-1] == "private" else sys.argv[-1], runs=RUNS)
    else:
        main()
