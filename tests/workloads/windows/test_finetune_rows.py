"""Fine-tuning: which rows are trained on, watched and scored, under which loss and variation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune import Fold
from phasetune.train.scores import classification_scores
from phasetune.train.splits import inner_split, outer_split
from phasetune.workloads.windows import Data, load
from phasetune.workloads.windows.finetune import finetune
from phasetune.workloads.windows.pretrain import pretrain
from stage_context import Context
from window_stages import (
    context,
    data_in,
    finetuning,
    labelled,
    pretraining,
    small_data,
)

FOLD = Fold(index=2, of=5, seed=7)
SEED = 3
TRAIN = labelled(60, seed=2)
Trained = Callable[..., tuple[Context, dict[str, float]]]
Rows = NDArray[np.intp]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return small_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def parent(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    ctx = context(tmp_path_factory.mktemp("encoder"), data)
    pretrain(ctx, pretraining(epochs=1))
    return ctx.output


@pytest.fixture
def trained(data: Data, parent: Path, tmp_path: Path) -> Trained:
    """Fine-tune with changed parameters; keywords in `given` are the context's."""

    def go(given: dict[str, Any] | None = None, **changes: Any) -> tuple[Context, dict[str, float]]:
        usual = {"data": data, "parent": parent, "seed": SEED, "fold": FOLD}
        ctx = context(tmp_path / "runs", **{**usual, **(given or {})})
        return ctx, finetune(ctx, finetuning(**changes))

    return go


def model_of(ctx: Context) -> bytes:
    return (ctx.output / "model.safetensors").read_bytes()


def split(fold: Fold | None = FOLD, labels: NDArray[Any] = TRAIN["y"]) -> tuple[Rows, Rows, Rows]:
    """Rows that are fitted, watched and held out."""
    rows, held_out = outer_split(labels, fold)
    fitted, watched = inner_split(labels, rows, seed=SEED)
    return fitted, watched, held_out


def with_garbage(folder: Path, rows: Rows) -> Data:
    """The data with other windows in some rows of `train`."""
    windows = TRAIN["X"].copy()
    windows[rows] = np.random.default_rng(0).normal(0.0, 50.0, windows[rows].shape)
    return data_in(folder, train={**TRAIN, "X": windows})


@pytest.mark.parametrize("fold", [FOLD, Fold(index=0, of=5, seed=7), Fold(index=1, of=3, seed=1)])
def test_a_fold_is_scored_on_what_it_holds_out(trained: Trained, fold: Fold) -> None:
    ctx, metrics = trained({"fold": fold})
    held_out = split(fold)[2]
    _assert_scores(ctx, metrics, held_out)


def test_a_refit_is_scored_on_what_it_watches(trained: Trained) -> None:
    ctx, metrics = trained({"fold": None})
    fitted, watched, _ = split(None)
    assert (len(fitted), len(watched)) == (51, 9)
    _assert_scores(ctx, metrics, watched, prefix="watched_")


def _assert_scores(
    ctx: Context, metrics: Mapping[str, float], rows: Rows, *, prefix: str = ""
) -> None:
    """What anybody who loads the model finds on these rows of the training data, and no more."""
    probabilities = load(ctx.output).predict_proba(TRAIN["X"][rows])
    scores = classification_scores(TRAIN["y"][rows], probabilities)
    counts = [scores[f"confusion_{i}_{j}"] for i in range(2) for j in range(2)]
    assert sum(counts) == len(rows)
    about_training = {"best_val_loss", "best_epoch", "epochs_trained"}
    named = {f"{prefix}{name}": value for name, value in scores.items()}
    assert set(metrics) == set(named) | about_training
    assert {name: metrics[name] for name in named} == named


def test_metrics_of_training_are_those_of_the_history(trained: Trained) -> None:
    ctx, metrics = trained(epochs=6)
    losses = [row["val_loss"] for row in ctx.rows]
    told = {"train_loss", "gradient_norm", "learning_rate", "val_loss", "val_accuracy", "step"}
    assert [set(row) for row in ctx.rows] == [told] * 6
    assert metrics["best_val_loss"] == min(losses)
    assert metrics["best_epoch"] == 1 + losses.index(min(losses))
    assert metrics["epochs_trained"] == 6.0


@pytest.mark.parametrize("epochs", [1, 5])
def test_what_is_held_out_is_not_trained_on(trained: Trained, tmp_path: Path, epochs: int) -> None:
    changed = with_garbage(tmp_path / "changed", split()[2])
    ctx, metrics = trained(epochs=epochs)
    other, others = trained({"data": changed}, epochs=epochs)
    assert model_of(other) == model_of(ctx)
    assert other.rows == ctx.rows
    assert others["log_loss"] != metrics["log_loss"]


def test_what_is_watched_chooses_the_epoch_and_is_not_trained_on(
    trained: Trained, tmp_path: Path
) -> None:
    changed = with_garbage(tmp_path / "changed", split()[1])
    ctx, other = trained(epochs=1)[0], trained({"data": changed}, epochs=1)[0]
    assert model_of(other) == model_of(ctx)
    assert other.rows[0]["train_loss"] == ctx.rows[0]["train_loss"]
    assert other.rows[0]["val_loss"] != ctx.rows[0]["val_loss"]


def test_each_fitted_row_is_trained_on(trained: Trained, tmp_path: Path) -> None:
    unmixed = {"epochs": 1, "mixup_probability": 0.0, "cutmix_probability": 0.0}
    loss = trained(**unmixed)[0].rows[0]["train_loss"]
    for row in split()[0]:
        changed = with_garbage(tmp_path / f"without-{row}", np.array([row]))
        assert trained({"data": changed}, **unmixed)[0].rows[0]["train_loss"] != loss


def test_only_the_training_data_is_read(trained: Trained, tmp_path: Path) -> None:
    alone = data_in(tmp_path / "alone", train=TRAIN)
    assert model_of(trained({"data": alone})[0]) == model_of(trained()[0])


def test_there_may_be_more_than_two_classes(trained: Trained, tmp_path: Path) -> None:
    digits = data_in(tmp_path / "three", train=labelled(80, classes=4))
    ctx, metrics = trained({"data": digits}, epochs=1)
    assert load(ctx.output).predict_proba(TRAIN["X"][:5]).shape == (5, 4)
    assert {f"class_{k}_accuracy" for k in range(4)} < set(metrics)
    assert "class_4_accuracy" not in metrics


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loss": "cross_entropy"}, lambda p, w: -np.log(p)),
        ({"loss": "focal", "focal_gamma": 2.0}, lambda p, w: -np.log(p) * (1 - p) ** 2),
        ({"loss": "focal", "focal_gamma": 0.5}, lambda p, w: -np.log(p) * (1 - p) ** 0.5),
        ({"loss": "cross_entropy", "class_weights": "balanced"}, lambda p, w: -w * np.log(p)),
        (
            {"loss": "focal", "class_weights": "balanced"},
            lambda p, w: -w * np.log(p) * (1 - p) ** 2,
        ),
        (
            {"loss": "cross_entropy", "label_smoothing": 0.2},
            lambda p, w: -0.9 * np.log(p) - 0.1 * np.log(1 - p),
        ),
    ],
    ids=["cross-entropy", "focal", "mild", "balanced", "balanced-focal", "smooth"],
)
def test_the_loss_is_that_of_the_kept_model_on_what_is_watched(
    trained: Trained, changes: dict[str, Any], expected: Callable[[Any, Any], Any]
) -> None:
    """By hand from the probability `p` of each window's own class, of weight `w`."""
    ctx, metrics = trained(epochs=5, **changes)
    fitted, watched, _ = split()
    counts = np.bincount(TRAIN["y"][fitted])
    weights = (len(fitted) / (2 * counts))[TRAIN["y"][watched]]
    loss = expected(probability_of_own_class(ctx, watched), weights).mean()
    assert metrics["best_val_loss"] == pytest.approx(loss, rel=1e-5)


def probability_of_own_class(ctx: Context, rows: Rows) -> NDArray[np.float64]:
    probabilities = load(ctx.output).predict_proba(TRAIN["X"][rows])
    own: NDArray[np.float64] = probabilities[np.arange(len(rows)), TRAIN["y"][rows]]
    return own


@pytest.mark.parametrize("normalize", ["window", "none"])
def test_windows_are_normalised_as_they_were_for_the_encoder(
    trained: Trained, data: Data, tmp_path: Path, normalize: str
) -> None:
    first = context(tmp_path / "encoder", data)
    pretrain(first, pretraining(epochs=1, normalize=normalize))
    ctx, metrics = trained({"parent": first.output}, loss="cross_entropy")
    loss = -np.log(probability_of_own_class(ctx, split()[1])).mean()
    assert metrics["best_val_loss"] == pytest.approx(loss, rel=1e-5)


def test_a_focal_loss_that_focuses_on_nothing_is_cross_entropy(trained: Trained) -> None:
    flat = trained(loss="focal", focal_gamma=0.0)[0]
    assert model_of(flat) == model_of(trained(loss="cross_entropy", focal_gamma=9.0)[0])


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "cross_entropy"},
        {"focal_gamma": 1.0},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.1},
        {"time_warp_sigma": 0.20},
        {"time_warp_probability": 1.0},
        {"scaling_sigma": 0.5},
        {"scaling_probability": 1.0},
        {"jitter_sigma": 0.3},
        {"jitter_probability": 0.0},
        {"mixup_alpha": 2.0},
        {"mixup_probability": 0.75},
        {"cutmix_alpha": 0.1},
        {"cutmix_probability": 0.0},
        {"dropout": 0.0},
        {"num_heads": 1},
        {"weight_decay": 0.5},
        {"batch_size": 10},
        {"clip_norm": 1e-4, "batch_size": 60},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_parameter_matters(trained: Trained, change: dict[str, Any]) -> None:
    assert model_of(trained(epochs=2, **change)[0]) != model_of(trained(epochs=2)[0])


@pytest.mark.parametrize("kind", ["time_warp", "scaling", "jitter"])
def test_a_variation_that_never_happens_has_no_strength(trained: Trained, kind: str) -> None:
    never = {f"{kind}_probability": 0.0}
    strong, weak = (trained(epochs=2, **never, **{f"{kind}_sigma": s})[0] for s in (5.0, 0.1))
    assert model_of(strong) == model_of(weak)


@pytest.mark.parametrize(
    ("freeze_epochs", "patience", "epochs_trained"),
    [(0, 1, 2), (0, 3, 4), (1, 1, 2), (4, 1, 5), (4, 3, 7), (4, None, 9), (20, 1, 9)],
)
def test_patience_counts_from_the_end_of_freezing(
    trained: Trained, freeze_epochs: int, patience: int | None, epochs_trained: int
) -> None:
    """Only the first epoch improves by so much, so that waiting begins at once."""
    _, metrics = trained(
        epochs=9, freeze_epochs=freeze_epochs, patience=patience, min_delta=1e6, batch_size=60
    )
    assert (metrics["best_epoch"], metrics["epochs_trained"]) == (1.0, epochs_trained)
