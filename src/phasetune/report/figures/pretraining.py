"""Trainings that share their beginning: a trunk, and the branches that leave it at milestones."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasetune.report.figures.record import FiguredStudy, UsedRun
from phasetune.report.figures.style import (
    INK,
    QUIET,
    TRUNKS,
    elided,
    log_scale,
    needs_log_scale,
    new_figure,
    plain_ticks,
    styled,
    whole_steps,
)
from phasetune.store.artifacts import Artifact

_LOSSES = ("val_loss", "train_loss")
MOST_TRUNKS = 40
_MOST_NAMED = 5
_LEAST_GAP = 0.06  # of the axis, so that numbers below it do not touch
_MILESTONE: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 5.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.5,
}
_END: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4.5}
_COLUMNS = ("stage", "trunk", "differs", "key", "metric", "step", "value")
_BRANCHES = ("is_trunk", "branch_step", "last_step")


def pretraining_curves(study: FiguredStudy) -> pd.DataFrame:
    """One row per distinct run with a milestone and reported step.

    Runs of one trunk are equal up to `branch_step`, where a run leaves it; `is_trunk` says which
    part a row belongs to. `differs` tells trunks of a stage apart, by the parameters that they do
    not have in common. The metric is the validation loss, else the training loss, else the first.
    """
    used = {run.id: run for trial in study.trials for run in trial.runs if run.trunk is not None}
    made = {run: study.artifacts[run.id] for run in used.values() if run.id in study.artifacts}
    differs = _differences(made)
    rows = [
        {
            "stage": run.stage,
            "trunk": run.trunk_id,
            "differs": differs[run.stage, run.trunk_id],
            "key": run.key,
            "metric": metric,
            "step": step,
            "value": value,
            "is_trunk": step <= run.trunk_step,
            "branch_step": run.trunk_step,
            "last_step": max(curve),
        }
        for run, artifact in made.items()
        for metric, curve in [_curve(artifact)]
        for step, value in sorted(curve.items())
    ]
    return pd.DataFrame(rows, columns=[*_COLUMNS, *_BRANCHES])


def _curve(artifact: Artifact) -> tuple[str, dict[int, float]]:
    history = artifact.history()
    names = dict.fromkeys(name for row in history for name in row if name != "step")
    metric = next((name for name in _LOSSES if name in names), next(iter(names), ""))
    return metric, {int(row["step"]): row[metric] for row in history if metric in row}


def _differences(made: Mapping[UsedRun, Artifact]) -> dict[tuple[str, str | None], str]:
    """Per stage and trunk, its own values of the parameters that trunks of the stage differ in."""
    settings: dict[tuple[str, str | None], dict[str, Any]] = {}
    horizons: dict[tuple[str, str | None], list[dict[str, Any]]] = defaultdict(list)
    for run, artifact in made.items():
        told = artifact.manifest.get("run", {})
        params = {name: str(value) for name, value in told.get("params", {}).items()}
        horizons[run.stage, run.trunk_id].append({**params, "seed": str(told.get("seed"))})
    for trunk, several in horizons.items():
        settings[trunk] = _in_common(several)
    return {
        trunk: _own_text(
            own, [other for (stage, _), other in settings.items() if stage == trunk[0]]
        )
        for trunk, own in settings.items()
    }


def _in_common(several: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = several[0]
    return {n: v for n, v in first.items() if all(other.get(n) == v for other in several)}


def _own_text(own: Mapping[str, str], all_trunks: Iterable[Mapping[str, str]]) -> str:
    others = list(all_trunks)
    shared = set.intersection(*(set(other) for other in others))
    varying = [name for name in sorted(shared) if len({other[name] for other in others}) > 1]
    return ", ".join(f"{name.rpartition('.')[2]} {own[name]}" for name in varying)


def draw_pretraining(curves: pd.DataFrame) -> Figure:
    """A panel per stage: trunks as thick lines, branches as thin ones, a mark at each milestone."""
    stages = list(dict.fromkeys(curves["stage"]))
    with styled():
        figure = new_figure(height_inches=3.0 * len(stages))
        for axes, stage in zip(
            figure.subplots(len(stages), squeeze=False).flat, stages, strict=True
        ):
            _draw_stage(axes, curves[curves["stage"] == stage])
    return figure


def _draw_stage(axes: Axes, curves: pd.DataFrame) -> None:
    axes.set_title(elided(str(curves["stage"].iloc[0]), 60))
    axes.set_xlabel("step")
    axes.set_ylabel(elided(str(curves["metric"].iloc[0]), 28))
    axes.grid(axis="y")
    plain_ticks(axes)
    if needs_log_scale(curves["value"]):
        log_scale(axes)
        plain_ticks(axes, x=False)
    trunks = dict(list(curves.groupby("trunk", sort=False))[:MOST_TRUNKS])
    has_names = 1 < len(trunks) <= _MOST_NAMED
    for index, trunk in enumerate(trunks.values()):
        colour = TRUNKS[index] if len(trunks) <= _MOST_NAMED else QUIET
        _draw_trunk(axes, trunk, colour, name=str(trunk["differs"].iloc[0]) if has_names else "")
    _explain(axes)
    axes.margins(x=0.04)
    _tick_horizons(axes, sorted(set(curves["last_step"])), first=int(curves["step"].min()))


def _draw_trunk(axes: Axes, curves: pd.DataFrame, colour: str, *, name: str) -> None:
    """The trunk is drawn once, as long as its longest run goes along it."""
    runs = [run for _, run in curves.groupby("key", sort=False)]
    longest = max(runs, key=lambda run: int(run["branch_step"].iloc[0]))
    trunk = longest[longest["is_trunk"]]
    label = elided(name, 40) or None
    axes.plot(trunk["step"], trunk["value"], color=colour, linewidth=2.6, label=label, zorder=3)
    for run in runs:
        branch_step = run["branch_step"].iloc[0]
        branch = run[run["step"] >= branch_step]
        axes.plot(branch["step"], branch["value"], color=colour, linewidth=1.3, linestyle="--")
        start, end = run[run["step"] == branch_step], run[run["step"] == run["last_step"]]
        axes.plot(start["step"], start["value"], **_MILESTONE, markeredgecolor=colour, zorder=4)
        axes.plot(end["step"], end["value"], **_END, color=colour, zorder=4)


def _explain(axes: Axes) -> None:
    axes.plot([], [], **_MILESTONE, markeredgecolor=INK, label="a run leaves the shared training")
    axes.plot([], [], **_END, color=INK, label="a run ends")
    axes.legend(loc="upper right", handlelength=1.6)


def _tick_horizons(axes: Axes, horizons: list[int], *, first: int) -> None:
    """Ticks where runs end, if these are few and apart; else at round steps."""
    places = [first, *horizons]
    gaps = [after - before for before, after in pairwise(places)]
    if min(gaps, default=0) > _LEAST_GAP * (places[-1] - first):
        axes.grid(axis="x")
        axes.set_xticks(places)
    else:
        whole_steps(axes)
