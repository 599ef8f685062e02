"""What a trivial run costs through phasetune, against Ray Tune alone with reused actors.

Both sides execute the same number of runs that do nothing, on one private cluster of 2 CPUs, in
one process, interleaved. Ours also publishes an artifact per run (files, digests, flushed to disk),
decides, and writes its report; `fit()` and fresh actors are in both.

    python benchmarks/runs_through_ray.py [RUNS]
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import (
    in_turn,
    milliseconds,
    ratio_text,
    ratios,
    spread,
    timed,
)
from phasetune import Study, run_study
from phasetune.run.ray.session import cluster, environment
from phasetune.run.ray.terminal import Terminal

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
PAIRS = 5
MOST_SECONDS = 0.7


def ours(folder: Path) -> float:
    study = Study.model_validate(
        {
            "name": "trivial",
            "workload": "trivial",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "tracking": "none",
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
    best = list[float]()
    with tempfile.TemporaryDirectory() as folder, terminal.quietly():
        took: float = timed(lambda: best.append(side(Path(folder))))
    assert best == [RUNS - 1]
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "ray.log")
        sides = {"ours": lambda: seconds(ours, terminal), "alone": lambda: seconds(alone, terminal)}
        with terminal.quietly():
            entered = cluster(None)
            entered.__enter__()
        in_turn(sides, pairs=1)  # what is imported once
        found = in_turn(sides, pairs=PAIRS)
        with terminal.quietly():
            entered.__exit__(None, None, None)
    for name, times in found.items():
        print(f"{name:5}  {RUNS} runs: {spread(times)} s, {milliseconds(times, of=RUNS)} a run")
    goal = "reached" if max(found["ours"]) / RUNS <= MOST_SECONDS else "MISSED"
    print(f"ours: at most {MOST_SECONDS} s a run: {goal}")
    print(f"ours / alone: {ratio_text(ratios(found['ours'], found['alone']))}")


if __name__ == "__main__":
    main()
