"""Whether pre-training helps at quickstart size: ten seeds, each with data of its own.

Four arms under equal seeds, folds and data: no pre-training, with an encoder that is frozen at
first as if it had been pre-trained, or trained from the start; and pre-training of two lengths.

    python experiments/lstm_phase_iv/benefit.py [RESULTS]
"""

import math
import statistics
import sys
from pathlib import Path

from phasetune import Phase, Point, Study, load_study, run_study

CONFIGS = Path(__file__).parents[2] / "configs"
SEEDS = range(10)
ARMS = {
    "none": {"pretrain.epochs": 0, "finetune.freeze_epochs": 0},
    "none_frozen_first": {"pretrain.epochs": 0, "finetune.freeze_epochs": 3},
    "pretrained_4": {"pretrain.epochs": 4, "finetune.freeze_epochs": 3},
    "pretrained_8": {"pretrain.epochs": 8, "finetune.freeze_epochs": 3},
}
METRICS = ("accuracy", "class_1_accuracy", "auroc", "log_loss")


def study(seed: int) -> Study:
    base = load_study(
        CONFIGS / "quickstart.yaml",
        overrides=[f"seed={seed}", f"data.seed={seed}", f"name=pretraining-{seed}"],
    )
    arms = Phase(
        name="arms",
        points=tuple(Point(params=params, note=arm) for arm, params in ARMS.items()),
    )
    return base.model_copy(
        update={
            "phases": (arms,),
            "constraints": (),
            "baseline": None,
            "final": base.final.model_copy(update={"refit": False, "test": False}),
        }
    )


def scores(seed: int, results: Path) -> dict[str, dict[str, float]]:
    """Per arm and metric the mean over folds."""
    record = run_study(study(seed), results=results).decisions["arms"]
    return {
        trial["note"]: {metric: trial["metrics"][metric]["mean"] for metric in METRICS}
        for trial in record["trials"]
    }


def mean_and_error(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):+.4f} ± {error:.4f}"


def main(results: Path) -> None:
    found = [scores(seed, results) for seed in SEEDS]
    for metric in METRICS:
        for arm in ARMS:
            values = [one[arm][metric] for one in found]
            gains = [one[arm][metric] - one["none"][metric] for one in found]
            gain = "" if arm == "none" else f" | gain over none {mean_and_error(gains)}"
            print(f"{metric} {arm}: {mean_and_error(values)}{gain}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("results"))
