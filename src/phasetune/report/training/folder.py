"""The files of a training report: pictures, a document and a text."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.report.figures.rendering import write_png
from phasetune.report.training.curves import Curves
from phasetune.report.training.fold_pictures import draw_folds, fold_points
from phasetune.report.training.folds import FoldTable, fold_document, fold_table, fold_text
from phasetune.report.training.pictures import (
    draw_losses,
    draw_metrics,
    loss_points,
    metric_points,
)
from phasetune.report.training.summary import (
    SCHEMA,
    header_lines,
    report_document,
    section_lines,
    summary_text,
)
from phasetune.report.training.wording import RULE, setting_lines
from phasetune.store.documents import write_document
from phasetune.store.durable import write_text

LOSSES = "loss_curves.png"
METRICS = "metrics_curves.png"
DOCUMENT = "report.json"
SUMMARY = "summary.txt"
FOLDS = "kfold_results.json"
FILES = frozenset({LOSSES, METRICS, DOCUMENT, SUMMARY, FOLDS})


def fill_folder(
    folder: Path,
    curves: Curves,
    *,
    about: Mapping[str, str],
    identity: Mapping[str, Any],
    settings: Mapping[str, Any],
    scores: Mapping[str, float] | None = None,
) -> None:
    """Write the report of one training; `about` says in the text what `identity` says in the JSON.

    A picture that would be empty is not there.
    """
    if curves.has_losses:
        write_png(draw_losses(loss_points(curves), best=curves.best), folder / LOSSES)
    if curves.has_metrics:
        write_png(draw_metrics(metric_points(curves), best=curves.best), folder / METRICS)
    found = {} if scores is None else scores
    document = report_document(curves, about=identity, settings=settings, scores=found)
    write_document(folder / DOCUMENT, document)
    text = summary_text(curves, about=about, settings=settings, scores=found)
    write_text(folder / SUMMARY, text)


def fill_trial_folder(
    folder: Path,
    curves: Mapping[str, Curves],
    *,
    about: Mapping[str, str],
    identity: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Write the report of a trial's replicates, by their labels: the table per fold."""
    table = fold_table(curves)
    _write_fold_picture(folder / LOSSES, curves, table)
    document = _all_folds(curves, table, identity=identity)
    write_document(folder / FOLDS, document)
    write_document(folder / DOCUMENT, {**document, "hyperparameters": dict(settings)})
    lines = header_lines("TRAINING REPORT SUMMARY", about)
    lines += [fold_text(table), *section_lines({"HYPERPARAMETERS": setting_lines(settings)})]
    write_text(folder / SUMMARY, "\n".join([*lines, RULE, ""]))


def fill_fold_files(
    file: Path, curves: Mapping[str, Curves], *, identity: Mapping[str, Any]
) -> None:
    """Write the table of folds as a document, and beside it as a text and a picture."""
    table = fold_table(curves)
    _write_fold_picture(file.with_suffix(".png"), curves, table)
    write_text(file.with_suffix(".txt"), f"{fold_text(table)}\nResults saved to: {file}\n")
    write_document(file, _all_folds(curves, table, identity=identity))


def _all_folds(
    curves: Mapping[str, Curves], table: FoldTable, *, identity: Mapping[str, Any]
) -> dict[str, Any]:
    """The table and the losses that it was made of."""
    losses = {
        label: {"epochs": found.epochs, "val_losses": found.val_losses}
        for label, found in curves.items()
    }
    return {"schema": SCHEMA, **identity, **fold_document(table), "losses": losses}


def _write_fold_picture(path: Path, curves: Mapping[str, Curves], table: FoldTable) -> None:
    points = fold_points(curves)
    if points["value"].map(math.isfinite).any():
        write_png(draw_folds(points, best_fold=table.best_fold), path)
