"""What a trivial run costs through phasetune, against Ray Tune alone with reused actors.

Both sides execute the same number of runs that do nothing, on one private cluster of 2 CPUs, in
one process, interleaved. Ours also publishes an artifact per run (files, digests, flushed to disk),
decides, and writes its report; `fit()` and fresh actors are in both.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phasetune import Study, run_study
from phasetune.run.ray.session import Terminal, cluster, environment

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
REPETITIONS = 5


def ours(folder: Path) -> float:
    study = Study.model_validate(
        {
            "name": "trivial",
            "workload": "trivial",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "phases": [{"name": "one", "grid": {"nothing.number": list(range(RUNS))}}],
            "final": {"refit": False, "test": False},
        }
    )
    outcome = run_study(study, results=folder, max_concurrent=2)
    assert outcome.winner is not None
    return float(outcome.winner["settings"]["nothing.number"])


def alone(folder: Path) -> float:
    from ray import tune

    def nothing(config: dict[str, Any]) -> None:
        tune.report({"score": float(config["number"])})

    with environment({"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "0"}):
        results = tune.Tuner(
            tune.with_resources(nothing, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(RUNS)))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=2),
            run_config=tune.RunConfig(storage_path=str(folder), name="alone", verbose=0),
        ).fit()
    return float(results.get_best_result("score", "max").metrics["score"])


def seconds(side: Callable[[Path], float], terminal: Terminal) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with terminal.quietly():
            best = side(Path(folder))
        took = time.perf_counter() - started
    assert best == RUNS - 1
    return took


def main() -> None:
    found: dict[str, list[float]] = {"ours": [], "alone": []}
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "ray.log")
        with terminal.quietly():
            entered = cluster(None)
            entered.__enter__()
        seconds(ours, terminal), seconds(alone, terminal)
        for repetition in range(REPETITIONS):
            sides = [("ours", ours), ("alone", alone)]
            for name, side in sides if repetition % 2 == 0 else reversed(sides):
                found[name].append(seconds(side, terminal))
        with terminal.quietly():
            entered.__exit__(None, None, None)
    for name, times in found.items():
        per_run = [1000 * taken / RUNS for taken in times]
        print(
            f"{name:5}  {RUNS} runs: median {statistics.median(times):.1f} s "
            f"({min(times):.1f}-{max(times):.1f}), {statistics.median(per_run):.0f} ms a run"
        )
    ratios = [a / b for a, b in zip(found["ours"], found["alone"], strict=True)]
    print(
        f"ratio ours / alone: median {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f}), {REPETITIONS} pairs"
    )


if __name__ == "__main__":
    main()
