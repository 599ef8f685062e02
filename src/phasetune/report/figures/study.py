"""All figures of a study, in reading order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from phasetune.report.figures import words
from phasetune.report.figures.confusion import confusion_cells, draw_confusion
from phasetune.report.figures.curves import draw_learning_curves, learning_curves
from phasetune.report.figures.phase import draw_phase_points, phase_points
from phasetune.report.figures.pretraining import draw_pretraining, pretraining_curves
from phasetune.report.figures.record import FiguredStudy, read_study
from phasetune.report.figures.sharing import draw_sharing
from phasetune.report.figures.timeline import draw_timeline
from phasetune.report.figures.times import device_times, phase_costs
from phasetune.report.figures.tree import sharing_tree
from phasetune.store.paths import StudyPaths


@dataclass(frozen=True, kw_only=True)
class StudyFigure:
    """A figure, the numbers that it is drawn from, and what it shows in words.

    `name` is unique in its study and safe as a file's stem; `alt` is for who can't see it; `kind`
    is one of `phase`, `curves`, `pretraining`, `confusion`, `timeline`, `sharing`.
    """

    name: str
    title: str
    caption: str
    alt: str
    phase: str | None
    kind: str
    data: pd.DataFrame
    figure: Figure


def study_figures(results: Path, study: StudyPaths) -> list[StudyFigure]:
    """Every figure that has something to show; of an unfinished study those of what there is.

    Raises:
        StoreError: there is no study, or a document of it can't be read.
    """
    record = read_study(results, study)
    return [
        *_phases(record),
        *_curves(record),
        *_pretraining(record),
        *_confusion(record),
        *_sharing(record),
        *_timeline(record),
    ]


def _figure(
    kind: str,
    title: str,
    caption: str,
    data: pd.DataFrame,
    figure: Figure,
    *,
    phase: str | None = None,
) -> StudyFigure:
    name = kind if phase is None else f"{kind}-{phase}"
    figure.set_gid(name)
    figure.set_label(title)
    return StudyFigure(
        name=name,
        title=title,
        caption=caption,
        alt=f"{title}. {caption}",
        phase=phase,
        kind=kind,
        data=data,
        figure=figure,
    )


def _phases(study: FiguredStudy) -> Iterator[StudyFigure]:
    for decision in study.decisions:
        points = phase_points(decision)
        caption, phase = words.phase_caption(points), str(decision["phase"])
        figure = draw_phase_points(points)
        yield _figure("phase", f"Trials of {phase}", caption, points, figure, phase=phase)


def _curves(study: FiguredStudy) -> Iterator[StudyFigure]:
    curves = learning_curves(study)
    if len(curves):
        caption, figure = words.curves_caption(curves), draw_learning_curves(curves)
        yield _figure("curves", "Learning curves", caption, curves, figure)


def _pretraining(study: FiguredStudy) -> Iterator[StudyFigure]:
    curves = pretraining_curves(study)
    if len(curves):
        caption, figure = words.pretraining_caption(curves), draw_pretraining(curves)
        yield _figure("pretraining", "Training that runs share", caption, curves, figure)


def _confusion(study: FiguredStudy) -> Iterator[StudyFigure]:
    tested = (study.final or {}).get("test") or {}
    cells = confusion_cells({name: float(value) for name, value in tested.items()})
    if len(cells):
        caption, figure = words.confusion_caption(cells), draw_confusion(cells)
        title = "Confusion matrix on the test data"
        yield _figure("confusion", title, caption, cells, figure)


def _sharing(study: FiguredStudy) -> Iterator[StudyFigure]:
    nodes, rows = sharing_tree(study)
    if len(nodes):
        caption, figure = words.sharing_caption(nodes, rows), draw_sharing(nodes, rows)
        yield _figure("sharing", "What trials share", caption, nodes, figure)


def _timeline(study: FiguredStudy) -> Iterator[StudyFigure]:
    times = device_times(study)
    if len(times):
        costs = phase_costs(study, times)
        caption, figure = words.timeline_caption(times, costs), draw_timeline(times, costs)
        yield _figure("timeline", "What each device did", caption, times, figure)
