"""The table per fold: best and final validation loss, which fold is best, and how they scatter."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from phasetune.report.training.curves import Curves, last_of
from phasetune.report.training.wording import RULE, short_number

_WIDTH = 22


@dataclass(frozen=True, kw_only=True)
class FoldLosses:
    """A fold's validation losses in short; None where none was reported, or none is finite."""

    label: str
    epochs: int
    best_epoch: int | None
    best_val_loss: float | None
    final_val_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and standard deviation of the finite values among some; None where there are too few.

    The deviation is that of a sample (divided by n - 1), as folds are a sample of splits.
    """

    mean: float | None
    std: float | None
    count: int


@dataclass(frozen=True, kw_only=True)
class FoldTable:
    """All folds, the label of the best one, and their losses taken together."""

    folds: tuple[FoldLosses, ...]
    best_fold: str | None
    best: Spread
    final: Spread
    min_best_val_loss: float | None
    max_best_val_loss: float | None


def fold_table(curves: Mapping[str, Curves]) -> FoldTable:
    """The table of folds, which go by their labels, such as `Fold 1`; the first of equals is best.

    A fold without a finite loss counts in no mean.
    """
    folds = tuple(_losses(label, found) for label, found in curves.items())
    best = {fold.label: fold.best_val_loss for fold in folds if fold.best_val_loss is not None}
    return FoldTable(
        folds=folds,
        best_fold=min(best, key=lambda label: best[label], default=None),
        best=_spread(list(best.values())),
        final=_spread([f.final_val_loss for f in folds if f.final_val_loss is not None]),
        min_best_val_loss=min(best.values(), default=None),
        max_best_val_loss=max(best.values(), default=None),
    )


def _losses(label: str, curves: Curves) -> FoldLosses:
    best = curves.best
    return FoldLosses(
        label=label,
        epochs=curves.total_epochs,
        best_epoch=None if best is None else best.epoch,
        best_val_loss=None if best is None else best.loss,
        final_val_loss=last_of(curves.val_losses),
    )


def _spread(values: Sequence[float]) -> Spread:
    finite = [value for value in values if math.isfinite(value)]
    return Spread(
        mean=fmean(finite) if finite else None,
        std=stdev(finite) if len(finite) > 1 else None,
        count=len(finite),
    )


def fold_document(table: FoldTable) -> dict[str, Any]:
    """The table as plain values."""
    return {
        "k": len(table.folds),
        "folds": [
            {
                "fold": fold.label,
                "epochs": fold.epochs,
                "best_epoch": fold.best_epoch,
                "best_val_loss": fold.best_val_loss,
                "final_val_loss": fold.final_val_loss,
            }
            for fold in table.folds
        ],
        "best_fold": table.best_fold,
        "aggregated": {
            **_spread_document("best_val_loss", table.best),
            **_spread_document("final_val_loss", table.final),
            "min_best_val_loss": table.min_best_val_loss,
            "max_best_val_loss": table.max_best_val_loss,
        },
    }


def _spread_document(name: str, spread: Spread) -> dict[str, Any]:
    return {f"mean_{name}": spread.mean, f"std_{name}": spread.std, f"num_{name}": spread.count}


def fold_text(table: FoldTable) -> str:
    """The table for people."""
    noun = "Seed" if all(fold.label.startswith("Seed") for fold in table.folds) else "Fold"
    aggregated = {
        "Mean Best Val Loss:": _spread_text(table.best, of=len(table.folds)),
        "Mean Final Val Loss:": _spread_text(table.final, of=len(table.folds)),
        "Min Best Val Loss:": short_number(table.min_best_val_loss),
        "Max Best Val Loss:": short_number(table.max_best_val_loss),
        f"Best {noun}:": table.best_fold or "none has a finite loss",
    }
    lines = [
        "RESULTS OVER SEEDS" if noun == "Seed" else "K-FOLD CROSS-VALIDATION RESULTS",
        RULE,
        "",
        f"Best Validation Loss per {noun}:",
        *(f"  {fold.label}: {_fold_text(fold)}" for fold in table.folds),
        "",
        "Aggregated Results:",
        *(f"  {label:<{_WIDTH}}{text}" for label, text in aggregated.items()),
        "",
        "  ± is the standard deviation of a sample, divided by n - 1.",
    ]
    return "\n".join(lines) + "\n"


def _fold_text(fold: FoldLosses) -> str:
    if fold.best_epoch is None:
        return "no finite validation loss"
    final = short_number(fold.final_val_loss)
    epochs = f"epoch {fold.best_epoch} of {fold.epochs}, final {final}"
    return f"{short_number(fold.best_val_loss)}  ({epochs})"


def _spread_text(spread: Spread, *, of: int) -> str:
    scatter = "" if spread.std is None else f" ± {short_number(spread.std)}"
    some = "" if spread.count == of else f" (over {spread.count} of {of} folds)"
    return f"{short_number(spread.mean)}{scatter}{some}"
