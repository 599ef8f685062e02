"""Whether pre-training helps at quickstart size: ten seeds, each with data of its own.

Arms under equal seeds, folds and data: without pre-training and with two lengths of it, each with
an encoder that is trained from the start, and with one that is frozen at first. What pre-training
gains is told against the arm without it that is fine-tuned in the same way.

    python experiments/lstm_phase_iv/benefit.py [RESULTS]
"""

import math
import statistics
import sys
from pathlib import Path

from phasetune import Phase, Point, Study, load_study, run_study

CONFIGS = Path(__file__).parents[2] / "configs"
SEEDS = range(10)
FREEZE = {"from the start": 0, "frozen first": 3}
EPOCHS = (0, 8, 16)
METRICS = ("accuracy", "class_1_accuracy", "auroc", "log_loss")


def study(seed: int) -> Study:
    base = load_study(
        CONFIGS / "quickstart.yaml",
        overrides=[f"seed={seed}", f"data.seed={seed}", f"name=pretraining-{seed}"],
    )
    arms = Phase(
        name="arms",
        points=tuple(
            Point(params={"pretrain.epochs": epochs, "finetune.freeze_epochs": freeze})
            for freeze in FREEZE.values()
            for epochs in EPOCHS
        ),
    )
    return base.model_copy(
        update={
            "phases": (arms,),
            "constraints": (),
            "baseline": None,
            "final": base.final.model_copy(update={"refit": False, "test": False}),
        }
    )


def scores(seed: int, results: Path) -> dict[tuple[int, int], dict[str, float]]:
    """Per arm, by freeze and pre-training epochs, and metric the mean over folds."""
    record = run_study(study(seed), results=results).decisions["arms"]
    return {
        (trial["point"]["finetune.freeze_epochs"], trial["point"]["pretrain.epochs"]): {
            metric: trial["metrics"][metric]["mean"] for metric in METRICS
        }
        for trial in record["trials"]
    }


def mean_and_error(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):+.4f} ± {error:.4f}"


def main(results: Path) -> None:
    found = [scores(seed, results) for seed in SEEDS]
    print("| encoder | pre-training | " + " | ".join(METRICS) + " |")
    for how, freeze in FREEZE.items():
        for epochs in EPOCHS:
            means = [mean_and_error([one[freeze, epochs][m] for one in found]) for m in METRICS]
            print(f"| {how} | {epochs} epochs | {' | '.join(means)} |")
            gains = [
                mean_and_error([one[freeze, epochs][m] - one[freeze, 0][m] for one in found])
                for m in METRICS
            ]
            if epochs:
                print(f"| {how} | gain of {epochs} epochs | {' | '.join(gains)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("results"))
