"""What is a loss, what a metric, and which epoch was best."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phasetune import PhasetuneError
from phasetune.report.training.curves import Best, Curves, curves_of_history, curves_of_lists

NAN, INF = math.nan, math.inf
WAY_OUT = "; give nan where there is none"


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([2.6, 2.2, 1.6], Best(epoch=3, loss=1.6)),
        ([0.5, 0.4, 0.4, 0.6], Best(epoch=2, loss=0.4)),
        ([NAN, 0.4, -INF, INF], Best(epoch=2, loss=0.4)),
        ([-1.0, -2.0], Best(epoch=2, loss=-2.0)),
        ([NAN, INF], None),
    ],
    ids=["the last", "first of equals", "finite ones alone", "negative", "none"],
)
def test_the_best_epoch_is_counted_from_one(losses: list[float], best: Best | None) -> None:
    assert curves_of_lists(losses, losses).best == best


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=20))
def test_no_finite_loss_is_below_the_best(losses: list[float]) -> None:
    best = curves_of_lists(losses, losses).best
    finite = [loss for loss in losses if math.isfinite(loss)]
    assert (best is None) == (not finite)
    if best is not None:
        assert best.loss == min(finite) == losses[best.epoch - 1]
        assert best.loss not in losses[: best.epoch - 1]


@pytest.mark.parametrize(
    "losses",
    [
        np.array([0.5, 0.25], dtype=np.float32),
        [np.float64(0.5), 0.25],
        torch.tensor([0.5, 0.25]),
        [torch.tensor(0.5), torch.tensor([0.25])],
        (value for value in (0.5, 0.25)),
    ],
    ids=["array", "numpy scalars", "tensor", "tensors", "generator"],
)
def test_whatever_float_takes_is_a_number(losses: Any) -> None:
    assert curves_of_lists(losses, [1, 2]).train_losses == (0.5, 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "train_losses must have a number for each epoch, but is empty"),
        (
            ([1.0, 2.0], [1.0]),
            "val_losses must have as many numbers as train_losses, 2, but has 1" + WAY_OUT,
        ),
        (("0.5", [1.0]), "train_losses must be a list of numbers, one per epoch, but is '0.5'"),
        ((0.5, [1.0]), "train_losses must be a list of numbers, one per epoch, but is 0.5"),
        (
            ([1.0, None], [1.0, 2.0]),
            "train_losses[1] must be a number, but is None; give nan where there is none",
        ),
        (
            ([1.0], [[1.0]]),
            "val_losses[0] must be a number, but is [1.0]; give nan where there is none",
        ),
        (
            ([1.0], [1.0], {"f1": [1.0, 2.0]}),
            "train_metrics['f1'] must have as many numbers as train_losses, 1, but has 2" + WAY_OUT,
        ),
        (
            ([1.0], [1.0], None, [0.5]),
            "val_metrics must be a mapping from names to lists of numbers, but is [0.5]",
        ),
        (
            ([10**5000], [1.0]),
            "train_losses[0] must be a number, but is a number too long to show" + WAY_OUT,
        ),
    ],
    ids=[
        "empty", "lengths", "text", "one number", "none", "nested", "metric", "no mapping", "huge"
    ],
)  # fmt: skip
def test_what_is_no_list_of_numbers_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(PhasetuneError) as refused:
        curves_of_lists(*arguments)
    assert refused.value.problems == (message,)


def of(*columns: str) -> Curves:
    """The curves of one epoch in which each column was reported."""
    return curves_of_history([{"step": 1.0, **{name: float(i) for i, name in enumerate(columns)}}])


@pytest.mark.parametrize(
    ("columns", "training", "validation", "metrics"),
    [
        (["train_loss", "val_loss"], 0.0, 1.0, ([], [], [])),
        (["training_loss", "validation_loss"], 0.0, 1.0, ([], [], [])),
        (["loss", "valid_loss"], 0.0, 1.0, ([], [], [])),
        (["loss", "train_loss"], 1.0, None, ([], [], ["loss"])),
        (["train_mae_loss", "val_mae_loss"], 0.0, 1.0, ([], [], [])),
        (["val_a_loss", "val_b_loss"], None, None, ([], ["a_loss", "b_loss"], [])),
        (["val_loss", "val_a_loss"], None, 0.0, ([], ["a_loss"], [])),
        (["train_f1", "val_f1", "rate"], None, None, (["f1"], ["f1"], ["rate"])),
        (["val_f1", "valid_f1"], None, None, ([], ["f1", "valid_f1"], [])),
        (["val_", "value"], None, None, ([], [], ["val_", "value"])),
    ],
)
def test_columns_are_told_apart_by_their_names(
    columns: list[str],
    training: float | None,
    validation: float | None,
    metrics: tuple[list[str], ...],
) -> None:
    curves = of(*columns)
    assert curves.train_losses == (training,)
    assert curves.val_losses == (validation,)
    found = (curves.train_metrics, curves.val_metrics, curves.other_metrics)
    assert tuple(sorted(names) for names in found) == metrics


def test_an_epoch_without_validation_has_no_value() -> None:
    rows = [
        {"step": 1.0, "train_loss": 3.0},
        {"step": 2.0, "train_loss": 2.0, "val_loss": 2.5},
        {"step": 4.0, "train_loss": 1.0},
    ]
    curves = curves_of_history(rows)
    assert curves.epochs == (1, 2, 4)
    assert curves.val_losses == (None, 2.5, None)
    assert curves.best == Best(epoch=2, loss=2.5)
    assert curves.total_epochs == 4


def test_no_history_has_no_losses() -> None:
    curves = curves_of_history([])
    assert (curves.total_epochs, curves.best) == (0, None)
    assert not curves.has_losses
    assert not curves.has_metrics
