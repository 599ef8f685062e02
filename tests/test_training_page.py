"""What docs/training.md shows is a workload that runs, with milestones, and reports of lists."""

import re
from pathlib import Path

import pytest

from phasetune import StudyOutcome, kfold_report, load_study, plan_study, run_study

PAGE = Path(__file__).parent.parent / "docs" / "training.md"
REST = """
from pydantic import BaseModel
from sklearn.datasets import load_digits

from phasetune import Stage
from phasetune.train import inner_split, outer_split


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part


STAGES = (
    Stage(
        name="fit",
        params=Params,
        function="shown:scored",
        reads=("train",),
        milestone=Params.milestone,
    ),
)


def rows_of(ctx):
    images, digits = load_digits(return_X_y=True)
    rows, _ = outer_split(digits[:400], ctx.fold)
    fitted, watched = inner_split(digits[:400], rows, seed=ctx.seed)
    inputs, labels = torch.from_numpy(images).float(), torch.from_numpy(digits)
    return inputs[fitted], labels[fitted], (inputs[watched], labels[watched])


def scored(ctx, params):
    metrics = train(ctx, params)
    return {**metrics, "score": metrics["best_val_loss"]} if metrics else {}
"""
STUDY = """
name: shown
workload: shown
params: {fit: {epochs: 4, batch_size: 64, learning_rate: 0.01, schedule: warmup_stable_decay}}
objective: {metric: score, mode: min}
phases: [{name: depth, grid: {fit.epochs: [4, 6, 8]}}]
final: {refit: false, test: false}
"""


def shown_code() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "shown.py").write_text(shown_code()[0] + REST)
    (folder / "study.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def outcome(folder: Path) -> StudyOutcome:
    return run_study(folder / "study.yaml", results=folder / "results", in_process=True)


def test_the_workload_shown_learns(outcome: StudyOutcome) -> None:
    assert not outcome.failures
    trials = {trial["name"]: trial for trial in outcome.decisions["depth"]["trials"]}
    assert all(trial["metrics"]["score"]["mean"] < 1.5 for trial in trials.values())


def test_its_epochs_are_shared(folder: Path) -> None:
    (stage,) = plan_study(folder / "study.yaml", results=folder / "none").survey.stages
    assert stage.steps is not None
    assert (str(stage.steps.alone), str(stage.steps.shared)) == ("18", "10")


def test_each_trial_scores_as_it_would_alone(folder: Path, outcome: StudyOutcome) -> None:
    study = load_study(folder / "study.yaml")
    alone = run_study(study, results=folder / "alone", in_process=True, shares=False)
    together, apart = (
        {trial["name"]: trial["metrics"] for trial in found.decisions["depth"]["trials"]}
        for found in (outcome, alone)
    )
    assert together == apart


def test_the_reports_shown_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for block in shown_code() if "training_report" in block]
    monkeypatch.chdir(tmp_path)
    made: dict[str, Path] = {}
    exec(code, made)  # noqa: S102 - the page's own
    names = [re.sub(r"_\d{8}_\d{6}.*", "", str(made[name])) for name in ("folder", "file")]
    assert names == re.findall(r"# (reports\S+?)_\d{8}_\d{6}", code)
    assert (made["folder"] / "summary.txt").exists()
    assert made["file"].with_suffix(".txt").exists()


def test_the_deviation_that_is_told_is_the_one_that_is_computed(tmp_path: Path) -> None:
    text = " ".join(PAGE.read_text().split())
    (values, told) = re.findall(r"divided by n - 1\): ([\d., ]+) are (\S+ ± [\d.]+\d)", text)[0]
    losses = [[float(value)] for value in values.split(", ")]
    file = kfold_report(val_losses_per_fold=losses, output_dir=tmp_path)
    assert f"Mean Best Val Loss:   {told}\n" in file.with_suffix(".txt").read_text()
