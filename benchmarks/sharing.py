"""What sharing saves: a study in which equal work is done once, against one in which it is not.

The shape of the LSTM study: 4, 3 and 3 trials, pre-training of 10, 15 and 20 epochs for 50, 75 and
100, warmup-stable-decay, two folds, a refit and a test. Cold each time, in this process; then once
through Ray; then with one value added to the first phase. Where both sides train the same artifact,
scores must be equal to the last bit.

    python benchmarks/sharing.py [PAIRS]
"""

import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch

from measuring import (
    in_turn,
    ratio_text,
    ratios,
    spread,
    timed,
    verdict,
)
from phasetune import Study, StudyOutcome, run_study
from phasetune.run.ray.session import cluster
from phasetune.run.ray.terminal import Terminal

GOAL = 3.0
SIGMAS = [0.10, 0.12, 0.15, 0.20]


def study(sigmas: list[float]) -> Study:
    """Ten trials around a pre-training that costs more than the fine-tuning, as at full size."""
    pretrain = {
        "hidden_size": 32,
        "epochs": 10,
        "batch_size": 128,
        "learning_rate": 0.003,
        "schedule": "warmup_stable_decay",
        "patience": None,
    }
    finetune = {
        "num_heads": 4,
        "epochs": 2,
        "freeze_epochs": 1,
        "batch_size": 64,
        "learning_rate": 0.003,
    }
    sizes: list[dict[str, Any]] = [
        {"pretrain.hidden_size": 16, "finetune.num_heads": 2},
        {"pretrain.hidden_size": 32, "finetune.num_heads": 4},
        {"pretrain.hidden_size": 32, "finetune.num_heads": 2},
    ]
    return Study.model_validate(
        {
            "name": "sharing",
            "workload": "phasetune.workloads.windows",
            "data": {"source": "synthetic", "windows": 400, "unlabeled": 1500},
            "params": {"pretrain": pretrain, "finetune": finetune},
            "replicates": {"folds": 2},
            "objective": {"metric": "accuracy", "mode": "max"},
            "tracking": "none",
            "phases": [
                {"name": "timewarp", "grid": {"finetune.time_warp_sigma": sigmas}},
                {"name": "architecture", "points": sizes},
                {"name": "depth", "grid": {"pretrain.epochs": [10, 15, 20]}},
            ],
        }
    )


def run(folder: Path, *, shares: bool, in_process: bool) -> StudyOutcome:
    max_concurrent = None if in_process else 2
    return run_study(
        study(SIGMAS),
        results=folder,
        shares=shares,
        in_process=in_process,
        max_concurrent=max_concurrent,
    )


def scores(outcome: StudyOutcome) -> dict[str, dict[str, float]]:
    """Per trial the mean of every metric."""
    return {
        trial["name"]: {name: float(found["mean"]) for name, found in trial["metrics"].items()}
        for decision in outcome.decisions.values()
        for trial in decision["trials"]
    }


def executed(outcome: StudyOutcome) -> str:
    found = Counter(run["stage"] for run in outcome.result.account.executed)
    return ", ".join(f"{count} {stage}" for stage, count in found.items())


class Cold:
    """Runs sides into new folders, and keeps what came of each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.outcomes: dict[str, list[StudyOutcome]] = {}

    def seconds(self, name: str, *, shares: bool, in_process: bool) -> float:
        folder = Path(tempfile.mkdtemp(dir=self._root))
        kept = self.outcomes.setdefault(name, [])
        found: float = timed(lambda: kept.append(run(folder, shares=shares, in_process=in_process)))
        return found

    def compare(self, *, in_process: bool, pairs: int) -> dict[str, list[float]]:
        where = "in this process" if in_process else "through Ray"
        names = {f"{where}, alone": False, f"{where}, shared": True}
        found: dict[str, list[float]] = in_turn(
            {
                name: partial(self.seconds, name, shares=shares, in_process=in_process)
                for name, shares in names.items()
            },
            pairs=pairs,
        )
        for name, times in found.items():
            print(f"{name}: {spread(times)} s; {executed(self.outcomes[name][0])}", flush=True)
        return found


def check_equal(outcomes: list[StudyOutcome]) -> None:
    first = scores(outcomes[0])
    assert len(first) == 10
    assert all(scores(outcome) == first for outcome in outcomes), "the sides scored differently"


def through_ray(cold: Cold, root: Path) -> None:
    terminal = Terminal(root / "ray.log")
    began = time.perf_counter()
    with terminal.quietly():
        entered = cluster(None)
        entered.__enter__()
    start_up = time.perf_counter() - began
    found = cold.compare(in_process=False, pairs=1)
    with terminal.quietly():
        entered.__exit__(None, None, None)
    alone, shared = found.values()
    print(f"  without the cluster's start: {ratio_text(ratios(alone, shared))}")
    with_it = ratios([alone[0] + start_up], [shared[0] + start_up])
    print(f"  with its {start_up:.1f} s: {ratio_text(with_it)}", flush=True)


def main(pairs: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cold = Cold(root)
        run_study(study(SIGMAS[:1]), phase="timewarp", results=root / "warm", in_process=True)
        alone, shared = cold.compare(in_process=True, pairs=pairs).values()
        print(f"  {verdict(ratios(alone, shared), goal=GOAL)}", flush=True)
        through_ray(cold, root)
        check_equal([outcome for kept in cold.outcomes.values() for outcome in kept])
        print("all ten trials scored the same, to the last bit, on all sides")
        more = study([*SIGMAS, 0.17])
        first = cold.outcomes["in this process, shared"][0].paths.root.parent
        again: list[StudyOutcome] = []
        took = timed(lambda: again.append(run_study(more, results=first, in_process=True)))
        print(f"one value added to the first grid: {took:.1f} s; {executed(again[0])}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
