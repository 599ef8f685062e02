"""What a second CPU worker is worth: a study that computes, with one run at a time against two.

Eight trials that share nothing, each with a pre-training and a fine-tuning of one thread, on one
private cluster, cold each time. Both sides must come to the same report, byte for byte.

    python benchmarks/two_workers.py [PAIRS]
"""

import sys
import tempfile
import time
from pathlib import Path

from measuring import in_turn, ratio_text, ratios, spread
from phasetune import Study, run_study
from phasetune.run.events import Event, RunDone, RunStarted
from phasetune.run.ray.session import cluster
from phasetune.run.ray.terminal import Terminal

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
RATES = [0.001, 0.0015, 0.002, 0.0025, 0.003, 0.0035, 0.004, 0.0045]


def study() -> Study:
    pretrain = {"hidden_size": 64, "epochs": 10, "batch_size": 128, "patience": None}
    finetune = {"num_heads": 4, "epochs": 4, "freeze_epochs": 1, "batch_size": 64}
    return Study.model_validate(
        {
            "name": "computing",
            "workload": "phasetune.workloads.windows",
            "data": {"source": "synthetic", "windows": 400, "unlabeled": 2000},
            "params": {"pretrain": pretrain, "finetune": finetune},
            "objective": {"metric": "accuracy"},
            "tracking": "none",
            "phases": [{"name": "rate", "grid": {"pretrain.learning_rate": RATES}}],
            "final": {"refit": False, "test": False},
        }
    )


class Clock:
    """Between the first run's start and the last one's end: without `fit()` and fresh actors."""

    def __init__(self) -> None:
        self._started: list[float] = []
        self._ended: list[float] = []

    def notify(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started.append(time.perf_counter())
        if isinstance(event, RunDone):
            self._ended.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        return max(self._ended) - min(self._started)


def main() -> None:
    reports: set[bytes] = set()
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "ray.log")
        executing: dict[str, list[float]] = {"one": [], "two": []}

        def seconds(side: str, at_once: int) -> float:
            with tempfile.TemporaryDirectory() as results:
                clock, began = Clock(), time.perf_counter()
                outcome = run_study(
                    study(), results=results, max_concurrent=at_once, listener=clock
                )
                took = time.perf_counter() - began
                reports.add(outcome.paths.report.read_bytes())
            executing[side].append(clock.seconds)
            return took

        sides = {"one": lambda: seconds("one", 1), "two": lambda: seconds("two", 2)}
        with terminal.quietly():
            entered = cluster(None)
            entered.__enter__()
        found = in_turn(sides, pairs=PAIRS)
        with terminal.quietly():
            entered.__exit__(None, None, None)
    assert len(reports) == 1, "one and two workers came to different reports"
    for name, times in found.items():
        print(f"{name}: {spread(times)} s, without start-up {spread(executing[name])} s")
    print(f"one / two: {ratio_text(ratios(found['one'], found['two']))}")
    apart = ratios(executing["one"], executing["two"])
    print(f"one / two without start-up: {ratio_text(apart)}")


if __name__ == "__main__":
    main()
