"""What the defaults save of the disk: the LSTM study, small, against keeping every checkpoint.

Both sides are `configs/quickstart.yaml` with fewer windows; one also keeps a checkpoint of each
epoch of both stages. Sizes are those of all files below the results, and do not vary.

    python benchmarks/storage.py
"""

import tempfile
from pathlib import Path

from phasetune import StudyOutcome, run_study

QUICKSTART = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
SMALL = ("data.windows=400", "data.unlabeled=600", "replicates.folds=2", "constraints=[]")
KEEP_ALL = tuple(
    f"params.{stage}.{name}"
    for stage in ("pretrain", "finetune")
    for name in ("save_every_n_epochs=1", "keep_last=1000")
)
GOAL = 0.6


def run(overrides: tuple[str, ...], folder: Path) -> StudyOutcome:
    return run_study(
        QUICKSTART, overrides=[*SMALL, "tracking=none", *overrides], results=folder, in_process=True
    )


def size_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / (1 << 20)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        sides = {"defaults": (), "keeping all": KEEP_ALL}
        found = {side: run(given, Path(name) / side) for side, given in sides.items()}
        first, other = (outcome.decisions["depth"]["trials"] for outcome in found.values())
        assert [trial["metrics"] for trial in first] == [trial["metrics"] for trial in other]
        sizes = {side: size_mib(Path(name) / side) for side in sides}
    for side, mib in sizes.items():
        print(f"{side}: {mib:.2f} MiB")
    saved = 1 - sizes["defaults"] / sizes["keeping all"]
    reached = "reached" if saved >= GOAL else "MISSED"
    print(f"{saved:.0%} less; goal {GOAL:.0%} or more: {reached}; equal scores")


if __name__ == "__main__":
    main()
