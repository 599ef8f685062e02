"""How stable the winners are: each small study with three study seeds.

python experiments/lstm_phase_iv/stability.py [RESULTS]
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from phasetune import run_study

CONFIGS = Path(__file__).parents[2] / "configs"
STUDIES = ("quickstart", "digits")
SEEDS = (1337, 1, 2)


def rows(study: str, results: Path) -> Iterable[str]:
    for seed in SEEDS:
        name = study if seed == SEEDS[0] else f"{study}-seed-{seed}"
        outcome = run_study(
            CONFIGS / f"{study}.yaml", overrides=[f"seed={seed}", f"name={name}"], results=results
        )
        for phase in outcome.decisions.values():
            yield f"| {study} | {seed} | {phase['phase']} | {winner(phase)} |"
        tested = None if outcome.winner is None else outcome.winner["test"]
        if tested is not None:
            yield f"| {study} | {seed} | test | {tested['accuracy']:.4f} | |"


def winner(phase: Mapping[str, Any]) -> str:
    if phase["winner"] is None:
        return f"{phase['outcome']}, closest {phase['closest']} | |"
    trials = {trial["name"]: trial["metrics"]["accuracy"] for trial in phase["trials"]}
    found = trials[phase["winner"]]
    ties = ", ".join(phase["ties"]) or "-"
    return f"{phase['winner']} | {found['mean']:.4f} ± {found['sem']:.4f} | {ties}"


def main(results: Path) -> None:
    for study in STUDIES:
        for row in rows(study, results):
            print(row, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("results"))
