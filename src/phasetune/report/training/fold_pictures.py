"""The picture of several folds: a panel for each, with the others' losses behind it."""

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasetune.report.figures.style import (
    FAINT,
    FONT_SIZE_POINTS,
    QUIET,
    WINNER,
    counted,
    new_figure,
    styled,
)
from phasetune.report.training.curves import Curves
from phasetune.report.training.lines import fit_axes, points_of, ring, with_gaps
from phasetune.report.training.wording import short_number

_COLUMNS = 3
_MOST_PANELS = 30


def fold_points(curves: Mapping[str, Curves]) -> pd.DataFrame:
    """A row per validation loss of each fold, whose label is the `quantity`."""
    lines = [
        points_of(found.epochs, [(label, "validation", found.val_losses)])
        for label, found in curves.items()
    ]
    told = [line for line in lines if not line.empty]
    return pd.concat(told, ignore_index=True) if told else points_of((), ())


def draw_folds(points: pd.DataFrame, *, best_fold: str | None) -> Figure:
    """A panel per fold of `fold_points`: its validation loss by epoch, the lowest one ringed."""
    names = list(points["quantity"].unique())
    shown = names[:_MOST_PANELS]
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    with styled():
        figure = new_figure(height_inches=max(3.0, 1.9 * rows + 0.6))
        first: Axes | None = None
        for index, name in enumerate(shown):
            axes = figure.add_subplot(rows, columns, index + 1, sharex=first, sharey=first)
            first = axes if first is None else first
            _draw_fold(axes, name, points, is_best=name == best_fold)
            axes.set_xlabel("epoch" if index >= len(shown) - columns else "")
        hidden = len(names) - len(shown)
        more = f"; {counted(hidden, 'more fold')} in the table" if hidden else ""
        figure.supxlabel(
            f"Validation loss of each fold; the others are grey{more}",
            color=QUIET,
            fontsize=FONT_SIZE_POINTS,
        )
    return figure


def _draw_fold(axes: Axes, name: str, points: pd.DataFrame, *, is_best: bool) -> None:
    for other, line in points.groupby("quantity", sort=False):
        if other != name:
            axes.plot(line["epoch"], with_gaps(line), color=FAINT, linewidth=1.0, zorder=1)
    own = points[points["quantity"] == name]
    axes.plot(own["epoch"], with_gaps(own), color=WINNER, linewidth=2.0, zorder=3)
    fit_axes(axes, points["value"])
    finite = own[own["value"].map(math.isfinite)]
    title = f"{name}, best" if is_best else name
    if finite.empty:
        axes.set_title(f"{title}: none is finite")
        return
    lowest = finite.iloc[int(finite["value"].argmin())]
    ring(axes, float(lowest["epoch"]), float(lowest["value"]), colour=WINNER)
    axes.set_title(f"{title}: {short_number(float(lowest['value']))}")
