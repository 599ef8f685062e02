"""A cluster of three Ray nodes on this machine: what a run costs there, and a node that is lost.

Each node has a network namespace of its own, which takes root (`tests/ray_nodes.py`). First, runs
that do nothing on the three nodes, one CPU each and two at a time, against a private local cluster,
start-up apart; from studies of few and of many follows what each more costs, without what a wave
does once. Then one long run, whose node is killed and whose node's link is cut, again and
again: how long until its next step is kept from elsewhere, and how many steps are taken again.

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

from measuring import in_turn, milliseconds, spread, timed

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from phasetune import Study, run_study
from phasetune.run.ray.session import cluster
from phasetune.run.ray.terminal import Terminal
from phasetune.run.ray.trainable import FOLDERS_PER_TRY
from ray_nodes import Node, NodesApart, wait_for, why_not_apart
from scripted import LOG, PAUSE
from torture.victim import STUDY, Victim

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
LOSSES = int(sys.argv[2]) if len(sys.argv) > 2 else 5
CUTS = 3
MANY = 3
PAIRS = 5
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


def drive(address: str | None) -> None:
    """In a process of its own: studies of few and of many runs that do nothing, in turn; prints
    their seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "ray.log")
        with terminal.quietly(), cluster(address):
            sides = {
                str(runs): partial(_seconds, runs, folder=Path(folder), address=address)
                for runs in (RUNS, MANY * RUNS)
            }
            sides[str(RUNS)]()  # the first imports
            found = in_turn(sides, pairs=PAIRS)
    print(json.dumps(found))


def _seconds(runs: int, *, folder: Path, address: str | None) -> float:
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
    results = Path(tempfile.mkdtemp(dir=folder))
    return timed(partial(run_study, study, results=results, address=address, max_concurrent=2))


def driven(address: str | None, nodes: NodesApart) -> tuple[list[float], list[float]]:
    """What `drive` printed for few and for many runs, on the head node where it has an address."""
    prefix = [] if address is None else nodes.prefix
    done = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, __file__, str(RUNS), str(LOSSES), _DRIVE, address or "private"],
        env={**os.environ, **nodes.environment},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found[str(RUNS)], found[str(MANY * RUNS)]


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
        place = json.loads(self._mark().read_text())
        return next(node for node in self._nodes.nodes if node.hosts(place))

    def goes_on(self) -> bool:
        """Whether the newest try has kept a step; each try counts its checkpoints apart."""
        first = (int(self._mark().name.partition("-")[0]) - 1) * FOLDERS_PER_TRY
        kept = self.victim.results.glob("long/phases/*/attempts/*/train-*/checkpoint_*")
        return any(int(path.name.rpartition("_")[2]) >= first for path in kept)

    def _mark(self) -> Path:
        found = self.victim.results.glob("long/phases/*/attempts/*/tries/train-*/*-begun-*")
        return max(found)

    def wait_for_steps(self, count: int) -> None:
        """Wait until so many more steps were taken."""
        most = len(self.steps()) + count
        wait_for(lambda: len(self.steps()) >= most, seconds=MOST_SECONDS)

    def recovery_seconds(self, *, is_cut: bool) -> float:
        """Lose the node of the run, and give it back; the seconds until another keeps a step."""
        self.wait_for_steps(10)
        lost = self.node()
        if is_cut:
            self._nodes.cut(lost)
        else:
            self._nodes.lose(lost)
        began = time.monotonic()
        wait_for(lambda: self.node() is not lost and self.goes_on(), seconds=MOST_SECONDS)
        seconds = time.monotonic() - began
        self._nodes.mend(lost)
        self._nodes.end(lost)
        self._nodes.start(lost)
        return seconds


def costs(folder: Path) -> None:
    """What a run costs on the three nodes, and on a private cluster."""
    with NodesApart(folder, environment={}, head_cpus=1) as nodes:
        nodes.add()
        nodes.add()
        for title, address in (("three nodes", nodes.address), ("private", None)):
            few, many = driven(address, nodes)
            more = [(b - a) / (RUNS * (MANY - 1)) for a, b in zip(few, many, strict=True)]
            print(f"{title}: {RUNS} runs: {spread(few)} s, {milliseconds(few, of=RUNS)} a run;")
            print(f"  {MANY * RUNS} runs: {spread(many)} s; {milliseconds(more)} for each more")


def losses(folder: Path) -> None:
    """How long it takes to go on elsewhere."""
    environment = {LOG: str(folder / "study" / "steps.log"), PAUSE: str(STEP_SECONDS)}
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


def main() -> None:
    reason = why_not_apart()
    if reason is not None:
        print(reason)
        return
    with tempfile.TemporaryDirectory() as folder:
        costs(Path(folder))
        losses(Path(folder))


if __name__ == "__main__":
    if _DRIVE in sys.argv:
        drive(None if sys.argv[-1] == "private" else sys.argv[-1])
    else:
        main()
