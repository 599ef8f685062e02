"""What pictures of trainings are drawn of: points by epoch, and their lines with gaps."""

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from phasetune.report.figures.style import (
    QUIET,
    log_scale,
    needs_log_scale,
    plain_ticks,
    whole_steps,
)
from phasetune.report.training.curves import Role, Values


def points_of(epochs: Iterable[int], lines: Iterable[tuple[str, Role, Values]]) -> pd.DataFrame:
    """A row per reported value of some lines: `quantity`, `role`, `epoch`, `value`."""
    steps = tuple(epochs)
    rows = [
        (quantity, role, epoch, value)
        for quantity, role, values in lines
        for epoch, value in zip(steps, values, strict=True)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["quantity", "role", "epoch", "value"])


def with_gaps(points: pd.DataFrame) -> list[float]:
    """The values, with gaps where they are not finite."""
    return [value if math.isfinite(value) else math.nan for value in points["value"]]


def ring(axes: Axes, epoch: float, value: float, *, colour: str) -> None:
    """A ring around a point."""
    axes.plot(
        [epoch],
        [value],
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=1.6,
        linestyle="none",
        zorder=4,
        clip_on=False,
    )


def fit_axes(axes: Axes, values: Iterable[float]) -> None:
    """Scale, ticks and grid for values; a word in place of none."""
    found = [value for value in values if math.isfinite(value)]
    if not found:
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=QUIET)
    elif needs_log_scale(found):
        log_scale(axes)
        axes.set_ylabel("log scale")
    whole_steps(axes)
    plain_ticks(axes, y=bool(found))
    if not found:
        axes.set_yticks([])
    axes.grid(axis="y")
