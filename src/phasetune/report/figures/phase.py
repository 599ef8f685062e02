"""Who won a phase: a dot per trial with its standard error, its replicates, and the constraints."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from phasetune.report.analysis import phase_metrics
from phasetune.report.figures.style import (
    BAND,
    FORBIDDEN,
    INK,
    LIMIT,
    QUIET,
    WINNER,
    elided,
    extended,
    new_figure,
    plain_ticks,
    styled,
)
from phasetune.report.numbers import short_number_text
from phasetune.select.decide import Outcome
from phasetune.study.constraint import Constraint, parse_constraint

MOST_TRIALS = 40
SHOWN_OF_MORE = 30
TAKEN = "taken"
_MOST_PANELS = 3
_LONGEST_NAME = 34
_ROOM_FOR_REASONS = 0.96  # fonts of pages may be a little wider
_STANDINGS = ("feasible", "infeasible", "ineligible")
_DIRECTIONS = {"max": "more is better →", "min": "← less is better", "": ""}
_COLUMNS = ("trial", "rank", "word", "standing", "reason", "is_winner", "metric", "mode")
_NUMBERS = ("replicate", "value", "mean", "sem", "lower_bound", "upper_bound")


def phase_points(record: Mapping[str, Any]) -> pd.DataFrame:
    """One row per trial, metric and replicate of a decision, the winner first.

    After it come feasible trials, infeasible and ineligible ones, each from best to worst. `word`
    is what to say of a trial in one word. Bounds are those of the constraints on the metric,
    relative ones resolved against the baseline's mean; NaN where there is none. A trial that lacks
    a metric has one row for it, without numbers.
    """
    metrics = phase_metrics(record)
    bounds = {metric: _bounds(record, metric) for metric in metrics}
    mode = {metrics[0]: record["rule"]["objective"]["mode"]}
    rows = [
        {
            "trial": trial["name"],
            "rank": rank,
            "word": _word(trial, record),
            "standing": trial["standing"],
            "reason": trial["reason"] or "",
            "is_winner": trial["name"] == record["winner"],
            "metric": metric,
            "mode": mode.get(metric, ""),
            **numbers,
            **bounds[metric],
        }
        for rank, trial in enumerate(_ranked(record))
        for metric in metrics
        for numbers in _numbers(trial, metric)
    ]
    return pd.DataFrame(rows, columns=[*_COLUMNS, *_NUMBERS])


def _ranked(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    objective = record["rule"]["objective"]
    sign = -1.0 if objective["mode"] == "max" else 1.0

    def place(trial: Mapping[str, Any]) -> tuple[bool, int, float]:
        mean = sign * _mean(trial, objective["metric"])
        standing = _STANDINGS.index(trial["standing"])
        return trial["name"] != record["winner"], standing, math.inf if math.isnan(mean) else mean

    return sorted(record["trials"], key=place)


def _mean(trial: Mapping[str, Any], metric: str) -> float:
    summary = trial["metrics"].get(metric)
    return math.nan if summary is None else float(summary["mean"])


def _numbers(trial: Mapping[str, Any], metric: str) -> list[dict[str, float]]:
    summary = trial["metrics"].get(metric)
    if summary is None:
        return [{"replicate": 0, "value": math.nan, "mean": math.nan, "sem": math.nan}]
    sem = math.nan if summary["sem"] is None else float(summary["sem"])
    return [
        {"replicate": index, "value": float(value), "mean": float(summary["mean"]), "sem": sem}
        for index, value in enumerate(summary["values"])
    ]


def _word(trial: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """`winner`, or `taken` without a feasible one; of others `infeasible`, `tied` and so on."""
    if trial["name"] == record["winner"]:
        return "winner" if record["outcome"] == Outcome.WON else TAKEN
    if trial["standing"] != "feasible":
        return str(trial["standing"])
    if trial["name"] in record["ties"]:
        return "tied"
    return "baseline" if trial["baseline"] else ""


def _bounds(record: Mapping[str, Any], metric: str) -> dict[str, float]:
    """The tightest bounds on a metric."""
    baseline = next((trial for trial in record["trials"] if trial["baseline"]), None)
    reference = None if baseline is None else _mean(baseline, metric)
    constraints = [parse_constraint(text) for text in record["rule"]["constraints"]]
    own = [constraint for constraint in constraints if constraint.metric == metric]
    return {
        "lower_bound": max(_resolved(own, reference, at_least=True), default=math.nan),
        "upper_bound": min(_resolved(own, reference, at_least=False), default=math.nan),
    }


def _resolved(
    constraints: list[Constraint], reference: float | None, *, at_least: bool
) -> list[float]:
    found = [c.resolved_bound(reference) for c in constraints if c.at_least is at_least]
    return [bound for bound in found if math.isfinite(bound)]


def shown_trials(points: pd.DataFrame) -> list[str]:
    """The trials that are drawn: all, or the best of many."""
    names = list(dict.fromkeys(points.sort_values("rank", kind="stable")["trial"]))
    return names if len(names) <= MOST_TRIALS else names[:SHOWN_OF_MORE]


def draw_phase_points(points: pd.DataFrame) -> Figure:
    """Rows are trials, the winner on top; a panel per metric, at most three."""
    names = shown_trials(points)
    left_out = points["trial"].nunique() - len(names)
    shown = points[points["trial"].isin(names)]
    metrics = list(dict.fromkeys(shown["metric"]))[:_MOST_PANELS]
    row_inches = 0.27 if len(names) <= 12 else 0.215
    height = 1.0 + row_inches * len(names) + (0.2 if left_out else 0.0)
    with styled():
        figure = new_figure(height_inches=height)
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            _draw_panel(axes, shown[shown["metric"] == metric], names)
        _name_rows(panels[0], shown, names)
        _say_standings(panels[-1], shown, names)
        if left_out:
            figure.supxlabel(_left_out_text(left_out), fontsize=9, color=QUIET)
        _say_reasons(figure, panels[0], shown, names)
    return figure


def _left_out_text(count: int) -> str:
    return f"and {count:,} more; the table has them all"


def _draw_panel(axes: Axes, points: pd.DataFrame, names: list[str]) -> None:
    metric, mode = points["metric"].iloc[0], points["mode"].iloc[0]
    axes.set_title(elided(str(metric), 30), pad=14)
    axes.set_xlabel(_DIRECTIONS[mode], color=QUIET)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3)
    _set_limits(axes, points)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for position, name in enumerate(names):
        trial = points[points["trial"] == name]
        if trial["is_winner"].iloc[0]:
            axes.axhspan(position - 0.5, position + 0.5, color=BAND, linewidth=0, zorder=0)
        _draw_trial(axes, trial, position)
    plain_ticks(axes, y=False)
    axes.locator_params(axis="x", nbins=5)


def _set_limits(axes: Axes, points: pd.DataFrame) -> None:
    """Room for every value, error and bound; the side that a constraint forbids is shaded."""
    lower, upper = points["lower_bound"].iloc[0], points["upper_bound"].iloc[0]
    judged = points[points["standing"] != "ineligible"]
    sem = judged["sem"].fillna(0.0)
    around = pd.concat([judged["value"], judged["mean"] - sem, judged["mean"] + sem])
    finite = np.array([v for v in [*around, lower, upper] if math.isfinite(v)])
    low, high = extended(finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    axes.set_xlim(low, high)
    if not finite.size:
        axes.tick_params(axis="x", labelbottom=False)
    for bound, edge, sign in ((lower, low, "≥"), (upper, high, "≤")):
        if math.isfinite(bound):
            axes.axvspan(edge, bound, color=FORBIDDEN, linewidth=0, zorder=0.5)
            axes.axvline(bound, color=LIMIT, linewidth=1.3, dashes=(4, 2), zorder=2)
            axes.annotate(
                f"{sign} {short_number_text(bound)}", (bound, 1), (0, 3), color=LIMIT, fontsize=9,
                xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="left" if bound < (low + high) / 2 else "right",
            )  # fmt: skip


def _draw_trial(axes: Axes, trial: pd.DataFrame, position: int) -> None:
    first = trial.iloc[0]
    if first["standing"] == "ineligible" or not math.isfinite(first["mean"]):
        return
    colour = WINNER if first["is_winner"] else INK
    is_hollow = first["standing"] != "feasible"
    if len(trial) > 1:
        axes.plot(
            trial["value"], np.full(len(trial), position), linestyle="none", marker="o",
            markersize=4, color=colour, alpha=0.35, markeredgewidth=0, zorder=3,
        )  # fmt: skip
    if math.isfinite(first["sem"]):
        ends = [first["mean"] - first["sem"], first["mean"] + first["sem"]]
        axes.plot(ends, [position, position], color=colour, linewidth=2.2, zorder=4)
    axes.plot(
        [first["mean"]], [position], linestyle="none", marker="o", markersize=7.5, zorder=5,
        color=colour, markerfacecolor="white" if is_hollow else colour, markeredgewidth=1.5,
    )  # fmt: skip


def _name_rows(axes: Axes, points: pd.DataFrame, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=[elided(name, _LONGEST_NAME) for name in names])
    first = points.drop_duplicates("trial").set_index("trial")
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if first.loc[name, "is_winner"]:
            label.set(color=WINNER, fontweight="bold")
        elif first.loc[name, "standing"] == "ineligible":
            label.set_color(QUIET)


def _say_standings(axes: Axes, points: pd.DataFrame, names: list[str]) -> None:
    """A word at the end of each row."""
    first = points.drop_duplicates("trial").set_index("trial")
    for position, name in enumerate(names):
        word = str(first.loc[name, "word"])
        colour = {"winner": WINNER, TAKEN: WINNER, "infeasible": LIMIT}.get(word, QUIET)
        axes.annotate(
            word, (1, position), (6, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", color=colour,
            fontweight="bold" if colour == WINNER else "normal",
        )  # fmt: skip


def _say_reasons(figure: Figure, axes: Axes, points: pd.DataFrame, names: list[str]) -> None:
    """Why a trial could not be judged, where its dot would be; as much as its panel has room for.

    Everything else has its place by then, and these texts have no say in it.
    """
    first = points.drop_duplicates("trial").set_index("trial")
    reasons = first.loc[first["standing"] == "ineligible", "reason"]
    if reasons.empty:
        return
    figure.draw_without_rendering()
    room = _ROOM_FOR_REASONS * axes.get_window_extent().width
    for name, reason in reasons.items():
        said = axes.annotate(
            str(reason), (0, names.index(str(name))), (2, 0), textcoords="offset points",
            xycoords=("axes fraction", "data"), va="center", color=QUIET, style="italic",
            in_layout=False,
        )  # fmt: skip
        _shorten(said, room)


def _shorten(said: Annotation, room: float) -> None:
    """Cut as much off the end of a text as makes it fit its room."""
    whole = said.get_text()

    def fits(length: int) -> bool:
        said.set_text(whole if length == len(whole) else f"{whole[:length].rstrip()}…")
        return said.get_window_extent().width <= room

    lengths = range(len(whole), 0, -1)
    fits(lengths[min(bisect_left(lengths, True, key=fits), len(lengths) - 1)])
