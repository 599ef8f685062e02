"""What Ray Tune alone keeps when its driver is killed again and again.

A grid of tune_trials, each a chain of hashes over its steps that is carried in a checkpoint at
every report: a lost or doubled step changes the final number. The driver is killed by SIGKILL at
instants drawn uniformly over the length of an undisturbed run, start-up included. After each kill,
when nothing of it is alive any more, the same command does what Tune's documentation says:
`Tuner.restore(path, trainable, resume_errored=True)` where `Tuner.can_restore(path)`, else a new
Tuner of the same name. The last start is not killed; where it fails it gets another two.

Two settings: Tune as it comes, and with its state saved as often as it can be
(`TUNE_GLOBAL_CHECKPOINT_S=0`). A study of the same number is killed at the same fractions of its
setting's undisturbed run in both; a kill that would come after its end is left out, and a study
without any does not count. It is lost when it ends with other trials than the grid's, when its
error repeats, or when it does not end.

    python benchmarks/ray_alone_under_kills.py [--studies 20] [--seed 0] [--kills 1..3] [--record F]

A record is continued: its studies are kept, the new ones take the numbers that follow.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from killing import (
    PATIENCE_SECONDS,
    Ended,
    Findings,
    Trial,
    drawn_kills,
    find,
    mark,
    read_lines,
    run_killed,
    tell,
)
from measuring import spread

POINTS = 8
STEPS = 10
CPUS = 2
STEP_SECONDS = 0.1
SETTINGS: dict[str, dict[str, str]] = {
    "defaults": {},
    "state always saved": {"TUNE_GLOBAL_CHECKPOINT_S": "0"},
}


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The line of the record that the studies of a setting are compared with."""

    undisturbed: str
    versions: str
    seconds: float
    trials: list[Trial]


def chained(number: int, *, step: int) -> int:
    """The next link, as an integer that JSON, CSV and pandas keep exactly."""
    return int(hashlib.sha256(f"{number}/{step}".encode()).hexdigest()[:12], 16)


def train(config: dict[str, Any]) -> None:
    """What a user of Tune writes: go on from the checkpoint, report with one at each step."""
    from ray import tune

    point, marks = config["point"], Path(config["marks"])
    mark("started", point=point, folder=marks)
    step, number = 0, point
    if (checkpoint := tune.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            step, number = json.loads((Path(folder) / "state.json").read_text())
    while step < STEPS:
        step, number = step + 1, chained(number, step=step + 1)
        time.sleep(STEP_SECONDS)
        mark("stepped", point=point, folder=marks)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "state.json").write_text(json.dumps([step, number]))
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"step": step, "number": number}, checkpoint=checkpoint)
    mark("finished", point=point, folder=marks)


def experiment(folder: Path) -> None:
    """What a user of Tune runs, and runs again after a kill; it tells what Tune says came out."""
    import ray
    from ray import tune

    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    path = folder / "tune" / "grid"
    if tune.Tuner.can_restore(str(path)):
        tuner = tune.Tuner.restore(str(path), train, resume_errored=True)
    else:
        points = tune.grid_search(list(range(POINTS)))
        tuner = tune.Tuner(
            train,
            param_space={"point": points, "marks": str(folder)},
            run_config=tune.RunConfig(name=path.name, storage_path=str(path.parent), verbose=0),
        )
    results = tuner.fit()
    tell([_trial(result) for result in results], folder=folder)
    if results.errors:
        raise results.errors[0]


def _trial(result: Any) -> Trial:
    """A trial that never reported has rows without our columns, or none."""
    rows = result.metrics_dataframe
    reported = rows is not None and "step" in rows
    return Trial(
        point=(result.config or {}).get("point"),
        number=(result.metrics or {}).get("number"),
        history=rows[["step", "number"]].to_numpy().tolist() if reported else [],
    )


def run_study(setting: str, *, kills: Sequence[float]) -> Ended:
    """In a folder of its own, which also takes what Ray leaves on the disk."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_"))}
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as folder:
        own = {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        return run_killed(
            [sys.executable, __file__, "--experiment", folder],
            folder=Path(folder),
            environment={**inherited, **own, **SETTINGS[setting]},
            kills=kills,
        )


def run_undisturbed(setting: str) -> Undisturbed:
    ended = run_study(setting, kills=[])
    assert len(ended.lives) == 1, ended.last_line
    assert ended.trials is not None
    assert ended.steps == POINTS * STEPS
    versions = f"Ray {version('ray')}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return Undisturbed(
        undisturbed=setting,
        versions=versions,
        seconds=ended.lives[0].seconds,
        trials=ended.trials,
    )


def run_batch(record: Path, *, studies: int, seed: int, counts: range) -> None:
    """Append studies to the record, one of each setting in turn."""
    references = {name: _reference(record, name) for name in SETTINGS}
    known = [(line.setting, line.number) for line in recorded(record)[1] if line.seed == seed]
    first = min(sum(setting == name for setting, _ in known) for name in SETTINGS)
    for number in range(first, first + studies):
        for setting in (name for name in SETTINGS if (name, number) not in known):
            findings = _run_number(number, seed=seed, counts=counts, reference=references[setting])
            _append(record, findings)
            print(f"{number} {setting}: {findings.lost or 'ended'}, {findings.seconds:.0f} s")


def _run_number(number: int, *, seed: int, counts: range, reference: Undisturbed) -> Findings:
    fractions = drawn_kills(seed=seed, number=number, counts=counts)
    kills = [fraction * reference.seconds for fraction in fractions]
    setting, trials = reference.undisturbed, reference.trials
    ended = run_study(setting, kills=kills)
    return find(setting, seed=seed, number=number, ended=ended, undisturbed=trials)


def _reference(record: Path, setting: str) -> Undisturbed:
    if known := [line for line in recorded(record)[0] if line.undisturbed == setting]:
        return known[0]
    found = run_undisturbed(setting)
    _append(record, found)
    return found


def _append(record: Path, line: Findings | Undisturbed) -> None:
    with record.open("a") as file:
        file.write(json.dumps(asdict(line)) + "\n")


def recorded(record: Path) -> tuple[list[Undisturbed], list[Findings]]:
    lines = [json.loads(line) for line in read_lines(record)]
    undisturbed = [
        Undisturbed(**{**line, "trials": [Trial(**trial) for trial in line["trials"]]})
        for line in lines
        if "undisturbed" in line
    ]
    return undisturbed, [Findings(**line) for line in lines if "setting" in line]


def table(record: Path) -> str:
    references, findings = recorded(record)
    killed = [finding for finding in findings if finding.killed_after_seconds]
    columns = [_column([f for f in killed if f.setting == name]) for name in SETTINGS]
    head = ["", *SETTINGS]
    rows = [[row, *(column[row] for column in columns)] for row in columns[0]]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    lengths = ", ".join(f"{r.undisturbed} {r.seconds:.1f} s" for r in references)
    return "\n".join([*lines, "", f"{references[0].versions}; undisturbed: {lengths}"])


def _column(findings: Sequence[Findings]) -> dict[str, str]:
    kept = [finding for finding in findings if finding.lost is None]
    reasons = Counter(finding.lost.split(":")[0] for finding in findings if finding.lost)
    left = [count for finding in findings for count in finding.left_alive]
    gone = [seconds for finding in findings for seconds in finding.gone_after_seconds]
    extra = [finding.extra_steps_percent for finding in kept]
    again = sum(finding.finished_ran_again for finding in kept)
    finished = sum(finding.finished_at_kills for finding in kept)
    return {
        "studies that were killed, kills": f"{len(findings)}, {len(left)}",
        "lost": f"{len(findings) - len(kept)} of {len(findings)}",
        "lost how": ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "-",
        "of the others: final metrics equal": _share(f.numbers_equal for f in kept),
        "history equal": _share(f.history_equal for f in kept),
        "order of trials equal": _share(f.order_equal for f in kept),
        "trials finished at a kill that ran again": f"{again} of {finished}",
        "steps beyond the undisturbed, %": _spread(extra),
        "the same in the mean, %": f"{fmean(extra):.1f}" if extra else "-",
        f"kills with a process alive {PATIENCE_SECONDS:g} s later": _share(n > 0 for n in left),
        "until nothing was alive, s": _spread(gone),
        "a study, s": _spread(finding.seconds for finding in findings),
    }


def _share(truths: Iterable[bool]) -> str:
    known = list(truths)
    return f"{sum(known)} of {len(known)}"


def _spread(values: Iterable[float]) -> str:
    known = list(values)
    return spread(known, digits=1) if known else "-"


def counts(text: str) -> range:
    """From `1..3`, or `2` for always two."""
    least, _, most = text.partition("..")
    return range(int(least), int(most or least) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=20, help="of each setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=counts, default="1..3", help="least..most of a study")
    parser.add_argument("--record", type=Path, help="JSON lines, continued where there are some")
    parser.add_argument("--experiment", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.experiment is not None:
        experiment(asked.experiment)
        return
    with tempfile.TemporaryDirectory() as folder:
        record = asked.record or Path(folder) / "record.jsonl"
        run_batch(record, studies=asked.studies, seed=asked.seed, counts=asked.kills)
        print(table(record))


if __name__ == "__main__":
    main()
