"""How long a study takes on 1, 2, 4 and 8 logical GPUs, against its critical path.

The LSTM study's shape (4, 3, 3 trials; five folds) with stages that sleep a hundredth of the
full-size times, so that no GPU is needed and only the order of things counts. The critical path is
what the study would take on any number of GPUs if a run cost nothing but its sleep: per phase the
longest chain of what has to be trained there. Start-up is the time in which waves had begun, but
none of their runs had: `fit()` and fresh actors, which this machine's two cores share.

    python benchmarks/makespan.py [GPUS ...]
"""

import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from phasetune import Study, history, run_study
from phasetune.run.events import Event, WaveStarted
from phasetune.run.ray.session import ENVIRONMENT, environment
from phasetune.run.ray.terminal import Terminal
from sleeping import SECONDS_PER_EPOCH, SECONDS_PER_FOLD, SPEED, Pretrain

GPUS = [int(number) for number in sys.argv[1:]] or [1, 2, 4, 8]
EPOCHS = [50, 75, 100]


def study() -> Study:
    sizes = [(64, 4), (128, 8), (128, 4)]
    return Study.model_validate(
        {
            "name": "makespan",
            "workload": "sleeping",
            "import_from": [str(Path(__file__).parent)],
            "resources_per_trial": {"gpu": 1, "cpu": 1},
            "replicates": {"folds": 5},
            "objective": {"metric": "score"},
            "tracking": "none",
            "phases": [
                {"name": "timewarp", "grid": {"finetune.time_warp_sigma": [0.1, 0.12, 0.15, 0.2]}},
                {
                    "name": "architecture",
                    "points": [
                        {"pretrain.hidden_size": hidden, "finetune.num_heads": heads}
                        for hidden, heads in sizes
                    ],
                },
                {"name": "depth", "grid": {"pretrain.epochs": EPOCHS}},
            ],
            "final": {"refit": False, "test": False},
        }
    )


def critical_path_seconds(*, shares: bool) -> float:
    """Per phase the longest chain: 50 epochs, then 50 of another size, then up to 100."""
    begun = Pretrain(epochs=min(EPOCHS)).branch_step if shares else 0
    epochs = min(EPOCHS) + min(EPOCHS) + max(EPOCHS) - begun
    return epochs * SECONDS_PER_EPOCH + 3 * SECONDS_PER_FOLD


@dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds, and the share of the GPUs' time in which a run slept on them."""

    makespan: float
    start_up: float
    work: float
    waves: int

    def told(self, *, gpus: int, shares: bool) -> str:
        path = critical_path_seconds(shares=shares)
        bound = max(path, self.work / gpus)
        return (
            f"{gpus} GPU{'s' if gpus > 1 else ' '}  makespan {self.makespan:6.1f} s  of it "
            f"start-up of {self.waves} waves {self.start_up:5.1f} s  work {self.work:6.1f} s  "
            f"critical path {path:5.1f} s  makespan less start-up / bound "
            f"{(self.makespan - self.start_up) / bound:.2f}  GPUs busy "
            f"{self.work / gpus / self.makespan:4.0%}  at full size "
            f"{(self.makespan - self.start_up) * SPEED / 60:.0f} min"
        )


class Waves:
    """Remembers when each wave began."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def notify(self, event: Event) -> None:
        if isinstance(event, WaveStarted):
            self.began.append(time.time())


def took(folder: Path, *, shares: bool) -> Took:
    waves = Waves()
    run_study(study(), results=folder, shares=shares, listener=waves)
    ended = time.time()
    times = _sleeps(folder)
    first_runs = [min(began for began, _ in times if began > wave) for wave in waves.began]
    return Took(
        makespan=ended - waves.began[0],
        start_up=sum(first - wave for wave, first in zip(waves.began, first_runs, strict=True)),
        work=sum(ended - began for began, ended in times),
        waves=len(waves.began),
    )


def _sleeps(folder: Path) -> Sequence[tuple[float, float]]:
    """When runs slept, step by step; branches of a trunk tell of its steps too."""
    frame: pd.DataFrame = history(folder)[["ended", "slept"]].drop_duplicates()
    return [(float(ended - slept), float(ended)) for ended, slept in frame.itertuples(index=False)]


@contextmanager
def logical_gpus(number: int, terminal: Terminal) -> Iterator[None]:
    """A cluster that says it has so many; runs that are granted one sleep all the same."""
    with environment({**ENVIRONMENT, "RAY_AUTH_MODE": "token"}), terminal.quietly():
        import ray  # reads how clusters are entered when it is imported

        ray.init(
            address="local",
            num_cpus=number,
            num_gpus=number,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            yield
        finally:
            ray.shutdown()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for shares in (False, True):
            print("with sharing" if shares else "without sharing, each trial alone", flush=True)
            for number in GPUS:
                place = Path(folder) / f"{number}-{shares}"
                with logical_gpus(number, Terminal(Path(folder) / "ray.log")):
                    found = took(place, shares=shares)
                print(found.told(gpus=number, shares=shares), flush=True)


if __name__ == "__main__":
    main()
