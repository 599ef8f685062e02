"""How trials learned: the metric that decides, step by step, one panel per phase."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasetune.report.figures.record import FINAL, FiguredStudy, PlannedTrial
from phasetune.report.figures.style import (
    OTHERS,
    QUIET,
    WINNER,
    counted,
    elided,
    log_scale,
    needs_log_scale,
    new_figure,
    plain_ticks,
    styled,
    whole_steps,
)
from phasetune.store.artifacts import Artifact

MOST_OTHERS = 150
_MOST_PANELS = 24
_PANELS_IN_A_ROW = 3
_NO_METRICS = {"step", "learning_rate", "gradient_norm"}
_COLUMNS = ("phase", "trial", "is_winner", "metric", "step", "mean", "sem", "replicates")

History = Sequence[dict[str, float]]


def learning_curves(study: FiguredStudy) -> pd.DataFrame:
    """One row per trial and step of the last stage that reports steps: mean and standard error.

    `replicates` says over how many: those that stopped early are in no later mean. A value that is
    not finite leaves the mean NaN. The metric is `val_<objective>`, else the objective, else
    `val_loss`, else the first that there is.
    """
    stage = _last_reporting_stage(study)
    histories = {
        key: made.history() for (name, key), made in study.artifacts.items() if name == stage
    }
    metric = _metric([row for history in histories.values() for row in history], study.metric)
    values = pd.DataFrame(
        [
            (trial.phase, trial.name, trial.is_winner, metric, step, value)
            for trial in _decided(study)
            for history in _of_trial(trial, str(stage), histories)
            for step, value in _curve(history, str(metric)).items()
        ],
        columns=["phase", "trial", "is_winner", "metric", "step", "value"],
    )
    return _means(values) if len(values) else pd.DataFrame(columns=list(_COLUMNS))


def _decided(study: FiguredStudy) -> list[PlannedTrial]:
    return [trial for trial in study.trials if trial.phase != FINAL]


def _curve(history: History, metric: str) -> dict[int, float]:
    """The last report of each step; what is not finite is NaN."""
    found = {int(row["step"]): row[metric] for row in history if metric in row}
    return {step: v if math.isfinite(v) else math.nan for step, v in found.items()}


def _means(values: pd.DataFrame) -> pd.DataFrame:
    grouped = values.groupby(["phase", "trial", "is_winner", "metric", "step"], sort=False)["value"]
    means = grouped.agg(["mean", "sem", "size", "count"]).reset_index()
    is_broken = means["count"] < means["size"]
    means.loc[is_broken, ["mean", "sem"]] = math.nan
    means = means.rename(columns={"size": "replicates"})[list(_COLUMNS)]
    place = means.groupby(["phase", "trial"], sort=False).ngroup()
    return means.iloc[np.lexsort((means["step"], place))].reset_index(drop=True)


def _last_reporting_stage(study: FiguredStudy) -> str | None:
    decided = {run.id for trial in _decided(study) for run in trial.runs}
    found = {run: made for run, made in study.artifacts.items() if run in decided}
    for stage in reversed(study.stages):
        first = next((made for (name, _), made in found.items() if name == stage), None)
        if first is not None and _has_curve(first):
            return stage
    return None


def _has_curve(artifact: Artifact) -> bool:
    return any(set(row) - _NO_METRICS for row in artifact.history())


def _metric(rows: Sequence[dict[str, float]], objective: str) -> str | None:
    names = dict.fromkeys(name for row in rows for name in row if name not in _NO_METRICS)
    wanted = (f"val_{objective}", objective, "val_loss")
    return next((name for name in wanted if name in names), next(iter(names), None))


def _of_trial(
    trial: PlannedTrial, stage: str, histories: dict[str, list[dict[str, float]]]
) -> list[History]:
    keys = [run.key for chain in trial.chains for run in chain if run.stage == stage]
    return [histories[key] for key in keys if key in histories]


def draw_learning_curves(curves: pd.DataFrame) -> Figure:
    """A panel per phase, the last ones of very many; the winner in colour with its band."""
    phases = list(dict.fromkeys(curves["phase"]))[-_MOST_PANELS:]
    columns = min(_PANELS_IN_A_ROW, len(phases))
    rows = -(-len(phases) // columns)
    with styled():
        figure = new_figure(height_inches=0.3 + (2.5 if columns == 1 else 2.05) * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        panels = list(grid.flat)
        for axes in panels[len(phases) :]:
            axes.set_visible(False)
        for axes, phase in zip(panels, phases, strict=False):
            _draw_phase(axes, curves[curves["phase"] == phase], phase)
        _scale(panels[0], curves)
        for row in grid:
            row[0].set_ylabel(elided(str(curves["metric"].iloc[0]), 28))
    return figure


def _scale(axes: Axes, curves: pd.DataFrame) -> None:
    """All panels share the vertical axis: one scale for all."""
    is_loss = "loss" in str(curves["metric"].iloc[0])
    if is_loss and needs_log_scale(curves["mean"]):
        log_scale(axes)
        plain_ticks(axes, x=False)


def _draw_phase(axes: Axes, curves: pd.DataFrame, phase: str) -> None:
    axes.set_title(elided(phase, 22), pad=16)
    axes.grid(axis="y")
    plain_ticks(axes)
    whole_steps(axes)
    axes.set_xlabel("step")
    by_trial = dict(tuple(curves.groupby("trial", sort=False)))
    others = [curve for curve in by_trial.values() if not curve["is_winner"].iloc[0]]
    drawn = others[:: -(-len(others) // MOST_OTHERS)] if others else []
    for curve in drawn:
        _draw_mean(axes, curve, colour=OTHERS, width=1.0)
    winner = next((n for n, curve in by_trial.items() if curve["is_winner"].iloc[0]), None)
    if winner is not None:
        _draw_winner(axes, by_trial[winner])
        _say(axes, elided(str(winner), 30), y=4, colour=WINNER)
    if others:
        many = "" if len(drawn) == len(others) else f"{len(drawn)} of "
        noun = "trial" if winner is None else "other"
        _say(axes, f"grey: {many}{counted(len(others), noun)}", y=16, colour=QUIET)


def _say(axes: Axes, text: str, *, y: float, colour: str) -> None:
    """Beside the title, or below it in colour: what would need a legend else."""
    place = {QUIET: (1.0, "right", "normal"), WINNER: (0.0, "left", "bold")}[colour]
    axes.annotate(
        text, (place[0], 1), (0, y), xycoords="axes fraction", textcoords="offset points",
        ha=place[1], fontweight=place[2], color=colour,
    )  # fmt: skip


def _draw_mean(axes: Axes, curve: pd.DataFrame, *, colour: str, width: float) -> None:
    """Solid as far as all replicates go; dotted where some have stopped, so a mean of the rest."""
    is_whole = curve["replicates"] == curve["replicates"].max()
    axes.plot(
        curve["step"], curve["mean"].where(is_whole), color=colour, linewidth=width,
        marker="o", markersize=3 if len(curve) == 1 else 0, zorder=3,
    )  # fmt: skip
    rest = curve[~is_whole | ~is_whole.shift(-1, fill_value=True)]
    axes.plot(rest["step"], rest["mean"], color=colour, linewidth=width, linestyle=":", zorder=3)


def _draw_winner(axes: Axes, curve: pd.DataFrame) -> None:
    low, high = curve["mean"] - curve["sem"], curve["mean"] + curve["sem"]
    axes.fill_between(curve["step"], low, high, color=WINNER, alpha=0.18, linewidth=0)
    _draw_mean(axes, curve, colour=WINNER, width=2.0)
