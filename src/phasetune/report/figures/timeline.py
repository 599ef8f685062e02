"""Which device did what when; what no device had to do again."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from phasetune.report.figures.cut_time import CutTime, cut_time
from phasetune.report.figures.style import (
    INK,
    QUIET,
    elided,
    new_figure,
    plain_ticks,
    stage_colours,
    styled,
)
from phasetune.report.numbers import short_number_text

_MOST_SECONDS_IN_MINUTES = 5 * 3600.0
_MOST_WITH_GAPS = 150  # in a lane; more would be all gap


def draw_timeline(times: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Above, a row per device and worker over time; below, what each phase computed and reused."""
    drawn = times.dropna(subset="start_seconds")
    lanes = sorted(set(zip(drawn["host"], drawn["device"], drawn["lane"], strict=True)))
    phases = list(dict.fromkeys(costs["phase"]))
    lane_inches = 0.3 if len(lanes) <= 12 else 0.12
    heights = [0.75 + lane_inches * len(lanes), 0.55 + 0.26 * len(phases)]
    colours = stage_colours(costs["stage"])
    with styled():
        figure = new_figure(height_inches=0.35 + (sum(heights) if lanes else heights[1]))
        if lanes:
            above, below = figure.subplots(2, height_ratios=heights)
            _draw_lanes(above, drawn, lanes, colours)
        else:
            below = figure.subplots()
        _draw_costs(below, costs, phases, colours)
        _explain(figure, costs, colours)
    return figure


def _explain(figure: Figure, costs: pd.DataFrame, colours: Mapping[str, str]) -> None:
    stages = list(dict.fromkeys(costs["stage"]))
    handles = [Patch(facecolor=colours[stage], label=elided(stage, 20)) for stage in stages]
    if (costs["reused_minutes"] > 0).any():
        handles.append(Patch(facecolor="white", edgecolor=QUIET, hatch="////", label="reused"))
    figure.legend(
        handles=handles, loc="outside upper right", ncols=min(5, len(handles)), handlelength=1.4
    )


def _draw_lanes(
    axes: Axes,
    times: pd.DataFrame,
    lanes: Sequence[tuple[str, str, int]],
    colours: Mapping[str, str],
) -> None:
    cut = cut_time(times)
    rows = {lane: index for index, lane in enumerate(lanes)}
    is_dense = times.groupby(["host", "device", "lane"]).size().max() > _MOST_WITH_GAPS
    gap = 0.0 if is_dense else 0.5
    for stage, runs in times.groupby("stage"):
        boxes = [_box(run, rows, cut) for run in runs.to_dict("records")]
        axes.add_collection(
            PolyCollection(boxes, facecolor=colours[str(stage)], edgecolor="white", linewidth=gap)
        )
    end = cut.place(cut.busy[-1][1])
    axes.set_xlim(0, end * 1.005 or 1.0)
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_yticks(range(len(lanes)), labels=_lane_names(lanes))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _tick_time(axes, cut)
    _mark_breaks(axes, cut)
    _mark_phases(axes, times, cut)


def _box(
    run: Mapping[Hashable, Any], rows: Mapping[tuple[str, str, int], int], cut: CutTime
) -> np.ndarray:
    """A run's corners; the shortest can be seen as well."""
    row = rows[run["host"], run["device"], run["lane"]]
    start = cut.place(run["start_seconds"])
    end = max(cut.place(run["start_seconds"] + run["seconds"]), start + 0.002 * cut.place(math.inf))
    low, high = row - 0.38, row + 0.38
    return np.array([(start, low), (end, low), (end, high), (start, high)])


def _lane_names(lanes: Sequence[tuple[str, str, int]]) -> list[str]:
    """Device and worker; the host where there are several. Of very many lanes only the first."""
    hosts = {host for host, _, _ in lanes}
    named = []
    for host, device, lane in lanes:
        is_alone = (host, device, 1) not in lanes
        name = device if is_alone else f"{device} · {lane + 1}"
        name = name if len(hosts) == 1 else f"{elided(host, 18)} · {name}"
        named.append(name if len(lanes) <= 12 or lane == 0 else "")
    return named


def _tick_time(axes: Axes, cut: CutTime) -> None:
    """Round times since the first start, at the places where they lie on the cut axis."""
    unit, name = _unit(cut.busy[-1][1])
    step = _round_step(cut.place(math.inf) / unit / 7)
    least = cut.place(math.inf) / 18
    ticks: dict[float, str] = {}
    for start, end in cut.busy:
        for count in range(
            math.ceil(start / unit / step - 1e-9), int(end / unit / step + 1e-9) + 1
        ):
            place = cut.place(count * step * unit)
            if not ticks or place - max(ticks) >= least:
                ticks[place] = short_number_text(round(count * step, 6))
    axes.set_xticks(list(ticks), labels=list(ticks.values()))
    axes.set_xlabel(f"{name} since the first start" + (", pauses cut" if cut.breaks else ""))


def _unit(seconds: float) -> tuple[float, str]:
    """How many seconds one of the unit has that such a time is told in, and its name."""
    if seconds < 60.0:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds <= _MOST_SECONDS_IN_MINUTES else (3600.0, "hours")


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(least, 1e-6)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _mark_breaks(axes: Axes, cut: CutTime) -> None:
    for place in cut.breaks:
        axes.axvline(place, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            "//", (place, 0), xycoords=("data", "axes fraction"), ha="center", va="center",
            fontweight="bold", color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _mark_phases(axes: Axes, times: pd.DataFrame, cut: CutTime) -> None:
    """Each phase's name above the time in which its runs were computed."""
    for phase, start, end in _phase_spans(times, cut):
        share = (end - start) / (cut.place(math.inf) or 1.0)
        axes.plot(
            [start, end], [1.02, 1.02], transform=axes.get_xaxis_transform(), color=QUIET,
            linewidth=2.0, clip_on=False, solid_capstyle="butt",
        )  # fmt: skip
        longest = int(share * 84)
        if longest >= min(4, len(phase)):
            axes.annotate(
                elided(phase, longest), ((start + end) / 2, 1.02), (0, 4), ha="center",
                xycoords=("data", "axes fraction"), textcoords="offset points", color=INK,
            )  # fmt: skip


def _phase_spans(times: pd.DataFrame, cut: CutTime) -> Iterator[tuple[str, float, float]]:
    """From a phase's first start to the next one's, or its own last end."""
    gap = 0.004 * cut.place(math.inf)
    starts = times.groupby("phase", sort=False)["start_seconds"].min()
    ends = (times["start_seconds"] + times["seconds"]).groupby(times["phase"]).max()
    ordered = starts.sort_values()
    following = [*ordered.iloc[1:], math.inf]
    for phase, start, after in zip(map(str, ordered.index), ordered, following, strict=True):
        yield phase, cut.place(start) + gap, cut.place(min(ends[phase], after)) - gap


def _draw_costs(
    axes: Axes, costs: pd.DataFrame, phases: list[str], colours: Mapping[str, str]
) -> None:
    """Solid what a phase computed, hatched what it did not have to."""
    unit, name = _unit(60.0 * costs[["computed_minutes", "reused_minutes"]].sum(axis=1).max())
    for row, phase in enumerate(phases):
        at, own = 0.0, costs[costs["phase"] == phase]
        for column, hatch in (("computed_minutes", None), ("reused_minutes", "////")):
            for stage, minutes in zip(own["stage"], own[column], strict=True):
                width = 60.0 * minutes / unit
                if width > 0:
                    axes.barh(
                        row, width, left=at, height=0.62, hatch=hatch, linewidth=0.8,
                        facecolor="white" if hatch else colours[stage],
                        edgecolor=colours[stage],
                    )  # fmt: skip
                at += width
    axes.set_yticks(range(len(phases)), labels=[elided(phase, 26) for phase in phases])
    axes.set_ylim(len(phases) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    plain_ticks(axes, y=False)
    axes.set_xlabel(f"{name} of computing for each phase")
