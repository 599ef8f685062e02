"""The sharing tree: stages from left to right, each distinct run once, trials at the end."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from phasetune.report.figures.style import (
    FAINT,
    INK,
    QUIET,
    WINNER,
    elided,
    new_figure,
    readable_on,
    stage_colours,
    styled,
)
from phasetune.report.figures.tree import MOST_ROWS, run_counts_text

TIMES = "\N{MULTIPLICATION SIGN}"
_LONGEST_NAME = 32
_LINES_OF_A_PHASE = 1.0  # its name, above its first row


def draw_sharing(nodes: pd.DataFrame, rows: pd.DataFrame) -> Figure:
    """Stages from left to right, trials at the end; larger where more trials share."""
    places = _row_places(rows)
    last = max(places, default=0.0)
    colours = stage_colours(nodes["stage"])
    num_columns = int(nodes["column"].max()) + 1
    with styled():
        figure = new_figure(height_inches=0.75 + 0.235 * (last + 1))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_xlim(-0.35, num_columns + 0.95)
        axes.set_ylim(last + 0.7, -1.9)
        spots = _spots(nodes, places)
        _draw_links(axes, nodes, spots, places, num_columns)
        _draw_nodes(axes, nodes, spots, colours)
        _head_columns(axes, nodes)
        _name_trials(axes, rows, places, num_columns)
    return figure


def _row_places(rows: pd.DataFrame) -> list[float]:
    """A line for each row; each phase has its name above its first one."""
    places, at, before = list[float](), 0.0, None
    for phase in rows["phase"]:
        at += 1.0 if phase == before or before is None else 1.0 + _LINES_OF_A_PHASE
        places.append(at)
        before = phase
    return places


def _spots(nodes: pd.DataFrame, places: Sequence[float]) -> dict[int, tuple[float, float]]:
    """A node lies at the middle of the rows that use it, moved apart where two would touch."""
    spots: dict[int, tuple[float, float]] = {}
    for column in sorted(set(nodes["column"])):
        own = nodes[nodes["column"] == column]
        wanted = {
            node: float(np.mean([places[row] for row in rows]))
            for node, rows in zip(own["node"], own["rows"], strict=True)
        }
        least = min(1.0, max(places) / max(1, len(wanted)))
        for node, y in _apart(wanted, least, most=max(places)).items():
            spots[node] = (column, y)
    return spots


def _apart(wanted: Mapping[int, float], least: float, *, most: float) -> dict[int, float]:
    """Down where one is too near to the one above, then up again from the end."""
    ordered = sorted(wanted, key=lambda node: wanted[node])
    found = [wanted[node] for node in ordered]
    for index in range(1, len(found)):
        found[index] = max(found[index], found[index - 1] + least)
    if found:
        found[-1] = min(found[-1], most)
    for index in range(len(found) - 2, -1, -1):
        found[index] = min(found[index], found[index + 1] - least)
    return dict(zip(ordered, found, strict=True))


def _draw_links(
    axes: Axes,
    nodes: pd.DataFrame,
    spots: Mapping[int, tuple[float, float]],
    places: Sequence[float],
    num_columns: int,
) -> None:
    has_child = {(node["parent"], row) for node in nodes.to_dict("records") for row in node["rows"]}
    for node in nodes.to_dict("records"):
        if node["parent"] >= 0:
            _link(axes, spots[node["parent"]], spots[node["node"]], trials=node["trials"])
        for row in node["rows"]:
            if (node["node"], row) not in has_child:
                _link(axes, spots[node["node"]], (num_columns - 0.12, places[row]), trials=1)


def _link(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, trials: int) -> None:
    middle = (start[0] + end[0]) / 2
    outline = Outline(
        [start, (middle, start[1]), (middle, end[1]), end],
        [Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4],
    )
    width = 0.9 + min(3.0, 0.35 * (trials - 1))
    axes.add_patch(PathPatch(outline, facecolor="none", edgecolor=FAINT, linewidth=width, zorder=1))


def _draw_nodes(
    axes: Axes,
    nodes: pd.DataFrame,
    spots: Mapping[int, tuple[float, float]],
    colours: Mapping[str, str],
) -> None:
    """A node says how many trials use it and how many runs it is, where these are several."""
    counts, times = told_counts(nodes), told_times(nodes)
    for node in nodes.to_dict("records"):
        x, y = spots[node["node"]]
        colour, count = colours[str(node["stage"])], counts.get(node["node"])
        size = 5.0 if count is None else min(16.0, 11.0 + 0.6 * count)
        axes.plot(
            [x], [y], marker="o", markersize=size, color=colour,
            markeredgecolor="white", markeredgewidth=0.8, zorder=3,
        )  # fmt: skip
        if count is not None:
            text = str(count) if count < 1000 else f"{count / 1000:.0f}k"
            axes.text(
                x, y, text, ha="center", va="center_baseline", fontweight="bold",
                color=readable_on(to_rgb(colour)),
                fontsize=7.5 if len(text) < 3 else 6.0, zorder=4,
            )  # fmt: skip
        if node["node"] in times:
            axes.annotate(
                f"{TIMES}{times[node['node']]:,}", (x, y), (size / 2 + 2, 0),
                textcoords="offset points", va="center_baseline", color=QUIET, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def told_counts(nodes: pd.DataFrame) -> dict[int, int]:
    """How many trials use a node, of those that say so: several, and all of them use all of it."""
    return _told(nodes, "trials")


def told_times(nodes: pd.DataFrame) -> dict[int, int]:
    """How many runs a node is, of those that say so: several, and all its trials use all of it."""
    return _told(nodes, "runs")


def _told(nodes: pd.DataFrame, column: str) -> dict[int, int]:
    if len(nodes) > MOST_ROWS:
        return {}
    own = nodes[nodes["is_common"].astype(bool) & (nodes[column] > 1)]
    return dict(zip(map(int, own["node"]), map(int, own[column]), strict=True))


def _head_columns(axes: Axes, nodes: pd.DataFrame) -> None:
    """The sentence of each stage: how many runs there are instead of how many."""
    for stage, own in nodes.groupby("stage", sort=False):
        column = int(own["column"].iloc[0])
        axes.text(column, -1.9, elided(str(stage), 20), ha="center", va="top", fontweight="bold")
        axes.text(column, -0.95, run_counts_text(own), ha="center", va="top", color=QUIET)


def _name_trials(axes: Axes, rows: pd.DataFrame, places: Sequence[float], num_columns: int) -> None:
    for phase, place in _phase_places(rows, places):
        axes.text(
            num_columns - 0.08, place - 1.0, elided(phase, 30), va="center", color=QUIET,
            fontweight="bold",
        )  # fmt: skip
    for row, place in zip(rows.to_dict("records"), places, strict=True):
        mark = "  winner" if row["is_winner"] and row["trials"] == 1 else ""
        axes.text(
            num_columns - 0.08, place, elided(str(row["name"]), _LONGEST_NAME) + mark, va="center",
            color=WINNER if row["is_winner"] else INK,
            fontweight="bold" if row["is_winner"] else "normal",
        )  # fmt: skip


def _phase_places(rows: pd.DataFrame, places: Sequence[float]) -> Iterator[tuple[str, float]]:
    before = None
    for phase, place in zip(rows["phase"], places, strict=True):
        if phase != before:
            yield str(phase), place
        before = phase
