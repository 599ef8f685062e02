"""What the final model takes for what: its confusion matrix on the test data."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from phasetune.report.figures.style import (
    HALF_WIDTH_INCHES,
    new_figure,
    readable_on,
    styled,
)

_NAME = re.compile(r"confusion_(\d+)_(\d+)")
_MOST_WITH_COUNTS = 6
_MOST_WITH_SHARES = 12
COLOURS = LinearSegmentedColormap.from_list("counts", ["#F7FBFF", "#9ECAE1", "#08519C", "#08306B"])


def confusion_cells(metrics: Mapping[str, float]) -> pd.DataFrame:
    """One row per pair of classes: rows of the class `true` that were taken for `predicted`.

    `share` is that of all rows of the true class, NaN where there are none. Made of the metrics
    `confusion_<true>_<predicted>`; empty where not all of them are there.
    """
    found = {
        (int(match[1]), int(match[2])): float(value)
        for name, value in metrics.items()
        if (match := _NAME.fullmatch(name))
    }
    classes = sorted({true for true, _ in found} | {predicted for _, predicted in found})
    if len(found) != len(classes) ** 2 or not np.isfinite(list(found.values())).all():
        found = {}
    totals = {true: sum(n for (row, _), n in found.items() if row == true) for true in classes}
    rows = [
        {
            "true": true,
            "predicted": predicted,
            "count": int(found[true, predicted]),
            "share": found[true, predicted] / totals[true] if totals[true] else float("nan"),
        }
        for true, predicted in sorted(found)
    ]
    return pd.DataFrame(rows, columns=["true", "predicted", "count", "share"])


def draw_confusion(cells: pd.DataFrame) -> Figure:
    """A row per true class, darker where more of it went; counts and shares as far as they fit."""
    shares = cells.pivot(index="true", columns="predicted", values="share")
    counts = cells.pivot(index="true", columns="predicted", values="count")
    width = HALF_WIDTH_INCHES if len(shares) <= _MOST_WITH_COUNTS else 5.4
    with styled():
        figure = new_figure(width_inches=width, height_inches=width * 0.88)
        axes = figure.subplots()
        axes.imshow(shares.fillna(0.0).to_numpy(), cmap=COLOURS, vmin=0.0, vmax=1.0)
        _name_classes(axes, list(shares.index))
        if len(shares) <= _MOST_WITH_SHARES:
            _write_cells(axes, shares.to_numpy(), counts.to_numpy())
    return figure


def _name_classes(axes: Axes, classes: list[int]) -> None:
    """Every class by its number; of very many only some."""
    places = range(0, len(classes), max(1, -(-len(classes) // 15)))
    labels = [str(classes[place]) for place in places]
    axes.set_xticks(places, labels=labels)
    axes.set_yticks(places, labels=labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    edges = np.arange(len(classes) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color="white", linewidth=2.0 if len(classes) <= 15 else 0.5)


def _write_cells(axes: Axes, shares: np.ndarray, counts: np.ndarray) -> None:
    has_counts = len(shares) <= _MOST_WITH_COUNTS
    for (row, column), share in np.ndenumerate(shares):
        count = int(counts[row, column])
        colour = readable_on(COLOURS(0.0 if np.isnan(share) else share)[:3])
        if has_counts:
            share_text = "-" if np.isnan(share) else f"{share:.0%}"
            axes.text(
                column, row, f"{count:,}", ha="center", va="bottom", color=colour,
                fontsize=13, fontweight="bold",
            )  # fmt: skip
            axes.text(column, row + 0.05, share_text, ha="center", va="top", color=colour)
        elif count:
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
