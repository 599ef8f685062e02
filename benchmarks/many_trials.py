"""What many trials cost: to run, to keep in memory, and to look at as one table.

10,000 trials that do nothing are run in this process. Their phase's table, as a user asks for it,
is set against Tune's `ExperimentAnalysis(path).dataframe()` over 200 trials of its own, whose time
is multiplied by 50: Tune reads each trial's files, so it grows linearly. Then 100 trials are run in
turn with 1,000, which must cost the same per trial. Last, the table of a phase of 100,000 trials
with 20 parameters and 6 metrics is written, and loaded as a user does.

    python benchmarks/many_trials.py [TRIALS]
"""

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from measuring import (
    computed,
    in_turn,
    memory_mib,
    milliseconds,
    ratio_text,
    ratios,
    spread,
    timed,
    verdict,
)
from phasetune import Study, StudyOutcome, run_study, trials
from phasetune.report.frames import write_phase_frames
from phasetune.run.ray.session import cluster, environment
from phasetune.run.ray.terminal import Terminal
from phasetune.store.digests import file_digest
from phasetune.store.documents import write_document

TUNE_TRIALS = 200
GOAL = 100.0
MOST_GROWTH = 1.2
LOADED_TRIALS = 100_000
MOST_LOADING_SECONDS = 2.0


def study(num_trials: int) -> Study:
    """A grid of two axes, the first with as many values as there are below the root."""
    first = math.isqrt(num_trials)
    while num_trials % first:
        first -= 1
    grid = {"nothing.number": list(range(num_trials // first)), "nothing.other": list(range(first))}
    return Study.model_validate(
        {
            "name": "trivial",
            "workload": "trivial",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "phases": [{"name": "one", "grid": grid}],
            "final": {"refit": False, "test": False},
            "tracking": "none",
        }
    )


def run(num_trials: int, folder: Path) -> StudyOutcome:
    outcome = run_study(study(num_trials), results=folder, in_process=True)
    assert len(outcome.result.account.executed) == num_trials
    return outcome


def timed_run(num_trials: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        seconds: float = timed(lambda: run(num_trials, Path(folder)))
    return seconds


def memory(outcome_folder: Path, sizes: Sequence[int]) -> StudyOutcome:
    """Run studies of rising size, and tell the most memory that the process had in the last run,
    deciding and reporting; the outcome is that of the largest.
    """
    peaks = []
    for size in sizes:
        outcome = run(size, outcome_folder / str(size))
        peaks.append(memory_mib())
    shown = ", ".join(f"{size:,}: {mib:.0f} MiB" for size, mib in zip(sizes, peaks, strict=True))
    kib = 1024 * (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
    print(f"peak memory by trials: {shown}; {kib:.1f} KiB a trial", flush=True)
    return outcome


def tune_trials(folder: Path) -> Path:
    """Trials of Tune's own that report once; returns where they are."""
    from ray import tune

    def nothing(config: dict[str, Any]) -> None:
        tune.report({"score": float(config["number"])})

    with environment({"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "0"}):
        tune.Tuner(
            tune.with_resources(nothing, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(TUNE_TRIALS)))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=2),
            run_config=tune.RunConfig(storage_path=str(folder), name="tune", verbose=0),
        ).fit()
    return folder / "tune"


def compare_tables(outcome: StudyOutcome, experiment: Path, terminal: Terminal) -> None:
    from ray.tune import ExperimentAnalysis

    count = len(outcome.phases["one"].trials)
    results = outcome.paths.root.parent
    (results / "store").rename(results / "store, which no table needs")

    def analysed() -> pd.DataFrame:
        with terminal.quietly():
            frame: pd.DataFrame = ExperimentAnalysis(str(experiment)).dataframe()
        return frame

    assert sorted(analysed()["score"]) == list(range(TUNE_TRIALS))
    for table in (outcome.phases["one"].trials, trials(results)):
        assert (table["score"] == 1000 * table["nothing.other"] + table["nothing.number"]).all()
        assert len(table.drop_duplicates(["nothing.number", "nothing.other"])) == count
    sides = {
        "Tune": lambda: timed(analysed) * count / TUNE_TRIALS,
        "outcome": lambda: timed(lambda: outcome.phases["one"].trials),
        "phasetune.trials": lambda: timed(lambda: trials(results)),
    }
    found = in_turn(sides, pairs=5)
    files = sum(path.is_file() for path in experiment.rglob("*"))
    tunes = f"Tune, extrapolated from {TUNE_TRIALS}, {spread(found['Tune'])} s"
    print(f"table of {count:,} trials: {tunes}")
    for name in ("outcome", "phasetune.trials"):
        result = verdict(ratios(found["Tune"], found[name]), goal=GOAL)
        print(f"  {name} {milliseconds(found[name])}; {result}")
    print(
        f"  files: {files / TUNE_TRIALS:.1f} per trial of Tune's; of ours one per phase", flush=True
    )


def as_many(outcome: StudyOutcome, count: int) -> None:
    """Let the plan and decision of a study say that it had so many trials, of more parameters and
    metrics than it has; write the phase's table of them, and what the report notes of its files.
    """
    phase = outcome.paths.phase("one")
    for path in (phase.plan, phase.decision):
        record = json.loads(path.read_text())
        record["trials"] = [varied(record["trials"][0], number) for number in range(count)]
        record |= {"winner": "one-0", "leader": "one-0"} if path == phase.decision else {}
        write_document(path, record)
    write_phase_frames(outcome.paths.root.parent, outcome.paths, "one")
    views = {f"trials/one-{number}/results.json": f"{number:032x}" for number in range(count)}
    table = phase.trials.relative_to(outcome.paths.root).as_posix()
    write_document(outcome.paths.views, {**views, table: file_digest(phase.trials)})


def varied(trial: dict[str, Any], number: int) -> dict[str, Any]:
    """A trial like this one, with a name, a key, settings and metrics of its own."""
    kinds = [number, number / 7, f"text {number % 10}", number % 2 == 0]
    settings = {f"nothing.parameter_{i}": kinds[i % 4] for i in range(20)}
    summary = {"mean": number / 3, "sem": None, "values": [number / 3]}
    changed = {"name": f"one-{number}", "key": f"{number:032x}", "settings": settings}
    if "metrics" in trial:
        changed["metrics"] = {f"metric_{i}": summary for i in range(6)}
    return {**trial, **changed}


def load_many(folder: Path) -> None:
    outcome = run(1, folder)
    phase, results = outcome.paths.phase("one"), outcome.paths.root.parent
    written = timed(lambda: as_many(outcome, LOADED_TRIALS))
    table = trials(results)
    assert (table["metric_0"] == table["nothing.parameter_0"] / 3).all()
    assert len(table) == LOADED_TRIALS
    loads = [timed(lambda: trials(results)) for _ in range(5)]
    mib = [path.stat().st_size / 2**20 for path in (phase.trials, phase.plan, phase.decision)]
    is_fast = "reached" if statistics.median(loads) < MOST_LOADING_SECONDS else "MISSED"
    print(
        f"{LOADED_TRIALS:,} trials: documents and table written in {written:.0f} s; loaded in "
        f"{spread(loads)} s, goal below {MOST_LOADING_SECONDS:g} s: {is_fast}; table "
        f"{mib[0]:.0f} MiB, plan {mib[1]:.0f} MiB, decision {mib[2]:.0f} MiB",
        flush=True,
    )


def compare_sizes(few: int, many: int) -> None:
    computing: dict[str, list[float]] = {str(few): [], str(many): []}

    def each(size: int) -> float:
        taken: list[float] = []
        computing[str(size)].append(computed(lambda: taken.append(timed_run(size))) / size)
        return taken[0] / size

    by_clock = in_turn({str(few): lambda: each(few), str(many): lambda: each(many)}, pairs=3)
    for kind, found in (("by the clock", by_clock), ("computing", computing)):
        growth = ratios(found[str(many)], found[str(few)])
        flat = "flat" if statistics.median(growth) <= MOST_GROWTH else "NOT FLAT"
        shown = ", ".join(f"of {size} {milliseconds(times)}" for size, times in found.items())
        print(f"a trial, {kind}: {shown}; {ratio_text(growth)}: {flat}", flush=True)


def main(num_trials: int) -> None:
    timed_run(10)  # what is imported once
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load_many(folder / "loaded")
        compare_sizes(100, 1000)
        outcome = memory(folder, (100, 1000, num_trials))
        terminal = Terminal(folder / "ray.log")
        with terminal.quietly():
            entered = cluster(None)
            entered.__enter__()
            experiment = tune_trials(folder)
            entered.__exit__(None, None, None)
        compare_tables(outcome, experiment, terminal)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
