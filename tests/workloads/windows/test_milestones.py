"""Pre-trainings of several lengths: what a shared trunk leaves is what each leaves alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS
from phasetune import StudyOutcome, Trunk, run_study
from phasetune.workloads.windows import Data
from phasetune.workloads.windows.finetune import finetune
from phasetune.workloads.windows.params import Pretrain
from phasetune.workloads.windows.pretrain import pretrain
from stage_context import Context
from window_stages import SHRUNK, context, finetuning, pretraining, small_data

QUICKSTART = TESTS.parent / "configs" / "quickstart.yaml"
ASKINGS_PER_EPOCH = 4
"""For an end: between three steps of 36 windows in batches of 12, at the end, and for a save."""

_SIZES = (
    "{name: size, trial_name: 'size_{pretrain.hidden_size}', "
    "points: [{pretrain.hidden_size: 8}, {pretrain.hidden_size: 4}]}"
)
_DEPTHS = (
    "{name: depth, trial_name: 'depth_{pretrain.epochs}', "
    "points: [{pretrain.epochs: 2}, {pretrain.epochs: 3}, {pretrain.epochs: 5}]}"
)
OVERRIDES = (
    *SHRUNK,
    "baseline=null",
    "params.pretrain.epochs=2",
    f"phases=[{_SIZES}, {_DEPTHS}]",
)
"""Five trials of four pre-trainings, three of which have a trunk."""

Pretrained = tuple[bytes, dict[str, float], list[dict[str, float]]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return small_data(tmp_path_factory.mktemp("milestones") / "data")


@pytest.fixture
def make(data: Data, tmp_path: Path) -> Callable[..., Context]:
    return lambda **given: context(tmp_path / "runs", data, **given)


def alone(make: Callable[..., Context], params: Pretrain) -> Pretrained:
    ctx = make()
    metrics = pretrain(ctx, params)
    return encoder_of(ctx), metrics, ctx.rows


def encoder_of(ctx: Context) -> bytes:
    return (ctx.output / "encoder.safetensors").read_bytes()


def together(
    make: Callable[..., Context], runs: list[Pretrain], *, stop_at: int | None = None
) -> list[Pretrained]:
    """Each from its branch point on; each part of the trunk is cut once where that is asked for."""
    found: list[Pretrained] = []
    begins: Path | None = None
    rows: dict[int, dict[str, float]] = {}
    for params in runs:
        milestone = params.milestone_of_epochs()
        assert milestone is not None
        if milestone.branch_step:
            until = Trunk(begins=begins, until=milestone.branch_step)
            cut = make(trunk=until, stop_at=stop_at)
            assert pretrain(cut, params) == {}
            whole = cut
            if not any(cut.output.iterdir()):
                whole = make(trunk=until, resumed=cut.checkpoint)
                assert pretrain(whole, params) == {}
            begins, rows = whole.output, {**rows, **cut.by_step, **whole.by_step}
        ctx = make(trunk=None if begins is None else Trunk(begins=begins))
        metrics = pretrain(ctx, params)
        ctx.by_step = {**rows, **ctx.by_step}
        found.append((encoder_of(ctx), metrics, ctx.rows))
    return found


WSD = {"schedule": "warmup_stable_decay", "warmup_steps": 4}


@pytest.mark.parametrize("stop_at", [None, 2], ids=["", "cut"])
@pytest.mark.parametrize(
    ("changes", "epochs", "ended"),
    [
        (WSD, (1, 4, 8), (1, 4, 8)),
        ({}, (2, 3, 6), (2, 3, 6)),
        ({"patience": 2, "min_delta": 1e6}, (2, 3, 5), (2, 3, 3)),
        ({**WSD, "patience": 2, "min_delta": 1e6}, (2, 3, 5), (2, 3, 3)),
    ],
    ids=["decaying", "constant", "stopping", "stopping and decaying"],
)
def test_each_encoder_is_that_of_a_run_alone(
    make: Callable[..., Context],
    changes: dict[str, Any],
    epochs: tuple[int, ...],
    ended: tuple[int, ...],
    stop_at: int | None,
) -> None:
    runs = [pretraining(epochs=count, dropout=0.2, **changes) for count in epochs]
    found = together(make, runs, stop_at=stop_at)
    assert found == [alone(make, params) for params in runs]
    assert tuple(metrics["epochs_trained"] for _, metrics, _ in found) == ended
    best = {metrics["best_epoch"] for _, metrics, _ in found}
    assert len({encoder for encoder, *_ in found}) == len(best)


def test_a_run_that_learns_too_fast_stops_early_as_alone(make: Callable[..., Context]) -> None:
    runs = [pretraining(epochs=count, learning_rate=0.3, patience=2, **WSD) for count in (3, 6, 15)]
    found = together(make, runs)
    assert found == [alone(make, params) for params in runs]
    _, metrics, rows = found[-1]
    assert len(rows) == metrics["epochs_trained"] == metrics["best_epoch"] + 2 < 15


def test_ten_epochs_are_five_a_stop_and_five(make: Callable[..., Context]) -> None:
    params = pretraining(epochs=10, dropout=0.2, **WSD)
    cut = make(stop_at=4 * ASKINGS_PER_EPOCH + 3)
    assert pretrain(cut, params) == {}
    assert cut.reports == [1, 2, 3, 4, 5]
    on = make(resumed=cut.checkpoint)
    metrics = pretrain(on, params)
    assert on.reports == [6, 7, 8, 9, 10]
    assert (encoder_of(on), metrics, cut.rows + on.rows) == alone(make, params)


def test_a_fine_tuning_of_ten_epochs_too(make: Callable[..., Context]) -> None:
    parent, whole = make(), make()
    pretrain(parent, pretraining(epochs=1))
    whole.parent = parent.output
    params = finetuning(epochs=10, batch_size=64)
    metrics = finetune(whole, params)
    cut = make(parent=parent.output, stop_at=9)
    assert finetune(cut, params) == {}
    assert cut.reports == [1, 2, 3, 4, 5]
    on = make(parent=parent.output, resumed=cut.checkpoint)
    assert finetune(on, params) == metrics
    model = "model.safetensors"
    assert (on.output / model).read_bytes() == (whole.output / model).read_bytes()
    assert cut.rows + on.rows == whole.rows


def studied(results: Path, *, shares: bool) -> StudyOutcome:
    return run_study(
        QUICKSTART, overrides=OVERRIDES, results=results, in_process=True, shares=shares
    )


def scores_of(outcome: StudyOutcome) -> dict[str, dict[str, Any]]:
    return {
        trial["name"]: trial["metrics"]
        for phase in outcome.report["phases"]
        for trial in phase["trials"]
    }


def encoders_of(outcome: StudyOutcome) -> dict[str, bytes]:
    found = outcome.paths.root.glob("**/trials/*/*_encoder.safetensors")
    return {path.name: path.read_bytes() for path in found}


def test_a_study_scores_the_same_with_and_without_sharing(tmp_path: Path) -> None:
    outcomes = [studied(tmp_path / str(shares), shares=shares) for shares in (True, False)]
    shared, apart = outcomes
    assert (shared.exit_code, apart.exit_code) == (0, 0)
    assert scores_of(shared) == scores_of(apart)
    assert len(scores_of(shared)) == 5
    assert encoders_of(shared) == encoders_of(apart)
    assert len(set(encoders_of(shared).values())) == 4
    assert (shared.winner or {})["test"] == (apart.winner or {})["test"]
    stages = [[entry["stage"] for entry in one.result.account.executed] for one in outcomes]
    assert [executed.count("pretrain") for executed in stages] == [4, 6]  # five, and the final one
