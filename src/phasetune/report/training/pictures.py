"""Pictures of a training: losses and metrics by epoch.

Training is a dashed line and validation a solid one, with other dots where there are few, so they
can be told apart without colours. Where a value was not finite the line has a gap, and a cross
stands on the axis.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasetune.report.figures.style import (
    FAINT,
    FONT_SIZE_POINTS,
    INK,
    LIMIT,
    QUIET,
    WINNER,
    counted,
    elided,
    new_figure,
    styled,
)
from phasetune.report.numbers import short_number_text
from phasetune.report.training.curves import Best, Curves, Role, Values
from phasetune.report.training.lines import fit_axes, points_of, ring, with_gaps

_MOST_DOTS = 40  # a lone value between two gaps must be seen, and many dots hide a line
_MOST_PANELS = 24
_LONGEST_NAME = 40
_NOT_FINITE = "not finite"
_LOOKS: Mapping[Role, Mapping[str, Any]] = {
    "training": {"color": LIMIT, "linestyle": (0, (4, 2)), "marker": "s", "markersize": 3.5},
    "validation": {"color": WINNER, "linestyle": "-", "marker": "o", "markersize": 4.0},
    "other": {"color": QUIET, "linestyle": "-", "marker": "D", "markersize": 3.0},
}
_SAID: Mapping[Role, str] = {
    "training": "training",
    "validation": "validation",
    "other": "as reported",
}


def loss_points(curves: Curves) -> pd.DataFrame:
    """A row per reported loss: `quantity`, `role`, `epoch`, `value`."""
    return points_of(
        curves.epochs,
        [("loss", "training", curves.train_losses), ("loss", "validation", curves.val_losses)],
    )


def metric_points(curves: Curves) -> pd.DataFrame:
    """A row per reported metric, as `loss_points`; what was validated comes first."""
    of_role: tuple[tuple[Role, Mapping[str, Values]], ...] = (
        ("training", curves.train_metrics),
        ("validation", curves.val_metrics),
        ("other", curves.other_metrics),
    )
    names = dict.fromkeys([*curves.val_metrics, *curves.train_metrics, *curves.other_metrics])
    return points_of(
        curves.epochs,
        [(name, role, found[name]) for name in names for role, found in of_role if name in found],
    )


def draw_losses(points: pd.DataFrame, *, best: Best | None) -> Figure:
    """Training and validation loss by epoch; the best epoch is marked."""
    with styled():
        figure = new_figure(height_inches=3.8)
        axes = figure.add_subplot()
        axes.set_title("Loss by epoch")
        _draw_lines(axes, points)
        if best is not None:
            _mark_best(axes, best)
        axes.set_xlabel("epoch")
        _legend(figure, [axes])
    return figure


def draw_metrics(points: pd.DataFrame, *, best: Best | None) -> Figure:
    """A panel per metric, all of them by epoch; a line stands at the epoch of the lowest loss."""
    names = list(points["quantity"].unique())
    shown = names[:_MOST_PANELS]
    columns = min(2, len(shown))
    rows = math.ceil(len(shown) / columns)
    with styled():
        figure = new_figure(height_inches=max(3.4, 1.8 * rows + 0.8))
        panels = [figure.add_subplot(rows, columns, index + 1) for index in range(len(shown))]
        for axes, name in zip(panels, shown, strict=True):
            axes.set_title(elided(name, _LONGEST_NAME))
            _draw_lines(axes, points[points["quantity"] == name])
            if best is not None:
                _line_at(axes, best)
        for axes in panels[-columns:]:
            axes.set_xlabel("epoch")
        _legend(figure, panels)
        _say_what_is_marked(figure, best, hidden=len(names) - len(shown))
    return figure


def _draw_lines(axes: Axes, points: pd.DataFrame) -> None:
    for role, looks in _LOOKS.items():
        own = points[points["role"] == role]
        if own.empty:
            continue
        dots = {} if len(own) <= _MOST_DOTS else {"marker": ""}
        axes.plot(
            own["epoch"], with_gaps(own), label=_SAID[role], linewidth=1.7, **{**looks, **dots}
        )
        _cross(axes, own, colour=str(looks["color"]))
    fit_axes(axes, points["value"])


def _cross(axes: Axes, points: pd.DataFrame, *, colour: str) -> None:
    """Crosses on the axis, at the epochs whose value was not finite."""
    lost = points[~points["value"].map(math.isfinite)]
    if not lost.empty:
        axes.plot(
            lost["epoch"],
            [0.0] * len(lost),
            transform=axes.get_xaxis_transform(),
            color=colour,
            linestyle="none",
            marker="x",
            markersize=6,
            clip_on=False,
            label=_NOT_FINITE,
        )


def _line_at(axes: Axes, best: Best) -> None:
    axes.axvline(best.epoch, color=FAINT, linewidth=1.2, zorder=0.5)


def _mark_best(axes: Axes, best: Best) -> None:
    _line_at(axes, best)
    ring(axes, best.epoch, best.loss, colour=WINNER)
    is_left = best.epoch < sum(axes.get_xlim()) / 2
    axes.annotate(
        f"lowest validation loss\n{short_number_text(best.loss)} in epoch {best.epoch}",
        (best.epoch, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(8 if is_left else -8, -2),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="top",
        color=INK,
    )


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """One legend above all panels, each of its entries once, in the same order everywhere."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(cast("list[str]", labels), handles, strict=True))
    entries = {name: found[name] for name in (*_SAID.values(), _NOT_FINITE) if name in found}
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper right",
        ncols=len(entries),
        handlelength=3.0,
    )


def _say_what_is_marked(figure: Figure, best: Best | None, *, hidden: int) -> None:
    said = [f"{counted(hidden, 'more metric')} in report.json"] if hidden else []
    if best is not None:
        said.insert(0, f"The line marks epoch {best.epoch}, of the lowest validation loss")
    if said:
        figure.supxlabel("; ".join(said), color=QUIET, fontsize=FONT_SIZE_POINTS)
