"""Pictures of trainings: what is computed for them, and what is drawn."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phasetune.report.figures.rendering import write_png
from phasetune.report.training.curves import Curves, curves_of_history, curves_of_lists
from phasetune.report.training.fold_pictures import draw_folds, fold_points
from phasetune.report.training.pictures import (
    draw_losses,
    draw_metrics,
    loss_points,
    metric_points,
)

NAN = math.nan
FALLING = [1.0, 0.5, 0.25]


def losses_drawn(train: Sequence[float], val: Sequence[float]) -> Axes:
    curves = curves_of_lists(train, val)
    return draw_losses(loss_points(curves), best=curves.best).axes[0]


def line(axes: Axes, label: str) -> Line2D:
    return next(found for found in axes.get_lines() if found.get_label() == label)


def listed(values: Any) -> list[float]:
    return [float(value) for value in values]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def texts(axes: Axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def test_a_value_that_was_not_reported_is_no_point() -> None:
    rows = [{"step": 1.0, "train_loss": 2.0}, {"step": 2.0, "train_loss": 1.0, "val_loss": NAN}]
    points = loss_points(curves_of_history(rows))
    assert list(points.columns) == ["quantity", "role", "epoch", "value"]
    assert list(zip(points["role"], points["epoch"], strict=True)) == [
        ("training", 1),
        ("training", 2),
        ("validation", 2),
    ]


def test_training_and_validation_can_be_told_apart_without_colours() -> None:
    axes = losses_drawn(FALLING, FALLING)
    training, validation = line(axes, "training"), line(axes, "validation")
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_the_best_epoch_is_marked_and_named() -> None:
    axes = losses_drawn(FALLING, [0.5, 0.25, 0.75])
    assert "0.25 in epoch 2" in texts(axes)
    (ring,) = [found for found in axes.get_lines() if found.get_markersize() == 9]
    assert (listed(ring.get_xdata()), listed(ring.get_ydata())) == ([2], [0.25])


def test_a_loss_that_is_not_finite_is_a_gap_and_a_cross() -> None:
    axes = losses_drawn(FALLING, [1.0, math.inf, 0.5])
    drawn: Any = line(axes, "validation").get_ydata()
    assert math.isnan(drawn[1])
    assert listed(line(axes, "not finite").get_xdata()) == [2]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([1.0, 0.02], "linear"), ([1.0, 0.001], "log"), ([1.0, 0.0], "linear"), ([1.0, -9], "linear")],
    ids=["within two decades", "more", "zero", "negative"],
)
def test_more_than_two_decades_are_drawn_on_a_log_scale(losses: list[float], scale: str) -> None:
    assert losses_drawn(losses, losses).get_yscale() == scale


def test_no_finite_loss_is_said() -> None:
    assert texts(losses_drawn([NAN], [NAN])) == "no finite value"


def test_each_metric_has_its_panel_and_what_was_validated_comes_first() -> None:
    metrics = {"f1": FALLING, "accuracy": FALLING}
    curves = curves_of_lists(FALLING, FALLING, {"rate": FALLING, **metrics}, metrics)
    figure = draw_metrics(metric_points(curves), best=curves.best)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["f1", "accuracy", "rate"]
    assert [len(axes.get_legend_handles_labels()[1]) for axes in figure.axes] == [2, 2, 1]
    assert labels(figure) == ["training", "validation"]
    assert "marks epoch 3" in figure.get_supxlabel()


def test_a_hundred_metrics_are_the_first_panels_and_a_word() -> None:
    curves = curves_of_lists([1.0], [1.0], {f"m{i}": [1.0] for i in range(100)})
    figure = draw_metrics(metric_points(curves), best=None)
    assert len(figure.axes) == 24
    assert figure.get_supxlabel() == "76 more metrics in report.json"


def test_each_fold_has_its_panel_on_one_scale() -> None:
    losses = {"Fold 1": [0.5, 0.4], "Fold 2": [0.3, 0.35], "Fold 3": [NAN, NAN]}
    curves = {label: curves_of_lists(own, own) for label, own in losses.items()}
    figure = draw_folds(fold_points(curves), best_fold="Fold 2")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Fold 1: 0.4000", "Fold 2, best: 0.3000", "Fold 3: none is finite"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_folds_without_losses_have_no_points() -> None:
    nothing = Curves(epochs=(), train_losses=(), val_losses=())
    assert fold_points({"Fold 1": nothing, "Fold 2": nothing}).empty


def test_equal_trainings_are_equal_pictures(tmp_path: Path) -> None:
    curves = curves_of_lists([1.0, NAN, 0.001], FALLING, {"$x$ <b>": FALLING})
    for name in ("a", "b"):
        write_png(draw_losses(loss_points(curves), best=curves.best), tmp_path / f"{name}1")
        write_png(draw_metrics(metric_points(curves), best=curves.best), tmp_path / f"{name}2")
    assert (tmp_path / "a1").read_bytes() == (tmp_path / "b1").read_bytes()
    assert (tmp_path / "a2").read_bytes() == (tmp_path / "b2").read_bytes()
