"""What a training came to, as a text for people and as a document for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from phasetune.report.training.curves import Curves, Values, last_of
from phasetune.report.training.wording import (
    RULE,
    THIN_RULE,
    long_number,
    metric_lines,
    setting_lines,
)

SCHEMA = 1
_WIDTH = 28


def summary_text(
    curves: Curves,
    *,
    about: Mapping[str, str],
    settings: Mapping[str, Any],
    scores: Mapping[str, float],
) -> str:
    """The summary: `about` are its first lines, `scores` what was measured in the end."""
    best, final_loss = curves.best, last_of(curves.val_losses)
    none = "not reported" if final_loss is None else "none is finite"
    figures = {
        "Total Epochs:": str(curves.total_epochs),
        "Final Training Loss:": long_number(last_of(curves.train_losses)),
        "Final Validation Loss:": long_number(final_loss),
        "Best Validation Loss:": none if best is None else long_number(best.loss),
        "Best Epoch:": "none" if best is None else str(best.epoch),
    }
    sections = {
        "HYPERPARAMETERS": setting_lines(settings),
        "TRAINING SUMMARY": [f"  {label:<{_WIDTH}}{text}" for label, text in figures.items()],
        "FINAL VALIDATION METRICS": metric_lines(_finals(curves.val_metrics)),
        "SCORES": metric_lines(_readable(scores)),
    }
    return "\n".join(
        [*header_lines("TRAINING REPORT SUMMARY", about), *section_lines(sections), RULE, ""]
    )


def header_lines(title: str, about: Mapping[str, str]) -> list[str]:
    """A title between rules, and below it what the text is about."""
    return [RULE, title, RULE, "", *(f"{label}: {text}" for label, text in about.items()), ""]


def section_lines(sections: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines under their titles; a section without any is not there."""
    return [
        line
        for title, lines in sections.items()
        if lines
        for line in (f"{title}:", THIN_RULE, *lines, "")
    ]


def _finals(metrics: Mapping[str, Values]) -> dict[str, float]:
    finals = {name: last_of(values) for name, values in metrics.items()}
    return {name: value for name, value in finals.items() if value is not None}


def _readable(scores: Mapping[str, float]) -> dict[str, float]:
    """A confusion matrix has as many cells as classes squared; whoever wants them has the JSON."""
    return {name: value for name, value in scores.items() if not name.startswith("confusion_")}


def report_document(
    curves: Curves,
    *,
    about: Mapping[str, Any],
    settings: Mapping[str, Any],
    scores: Mapping[str, float],
) -> dict[str, Any]:
    """All numbers; in its lists null is what was not reported, and `"nan"` what was no number."""
    best = curves.best
    return {
        "schema": SCHEMA,
        **about,
        "hyperparameters": dict(settings),
        "total_epochs": curves.total_epochs,
        "final_train_loss": last_of(curves.train_losses),
        "final_val_loss": last_of(curves.val_losses),
        "best_val_loss": None if best is None else best.loss,
        "best_epoch": None if best is None else best.epoch,
        "final_val_metrics": _finals(curves.val_metrics),
        "scores": dict(scores),
        "epochs": curves.epochs,
        "train_losses": curves.train_losses,
        "val_losses": curves.val_losses,
        "train_metrics": dict(curves.train_metrics),
        "val_metrics": dict(curves.val_metrics),
        "other_metrics": dict(curves.other_metrics),
    }
