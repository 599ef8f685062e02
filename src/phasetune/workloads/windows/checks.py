"""What is wrong with the content of the data, asked before anything trains."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasetune.errors import StageError
from phasetune.train.splits import INNER_FRACTION

if TYPE_CHECKING:
    from phasetune.workloads.windows.data import Data, Part

PARTS: tuple["Part", ...] = ("unlabeled", "train", "test")


def content_problems(data: "Data", *, folds: int) -> Iterable[str]:
    """What is wrong, in one sentence each; `folds` is in how many parts `train` is cut."""
    unreadable = []
    for part in PARTS:
        try:
            data.windows_of(part)
            if part == "unlabeled":
                _ = data.sources
        except (OSError, StageError) as error:
            unreadable.append(str(error))
    if unreadable:
        return unreadable
    return [
        *_shape_problems(data),
        *_label_problems(data),
        *_fold_problems(data.labels_of("train"), folds),
        *_shared_rows(data),
    ]


def _shape_problems(data: "Data") -> Iterable[str]:
    expected = data.windows_of("train").shape[1:]
    for part in PARTS:
        found = data.windows_of(part).shape[1:]
        if found != expected:
            yield (
                f"windows of {part} must have {list(expected)} time steps and channels, as in "
                f"train, but have {list(found)}"
            )
    sources = data.sources
    count = len(data.windows_of("unlabeled")) if sources is None else len(np.unique(sources))
    if count < 2:
        yield "unlabeled must have at least 2 windows, one to train on and one to validate on"


def _label_problems(data: "Data") -> Iterable[str]:
    labels = data.labels_of("train")
    missing = sorted(set(range(data.num_classes)) - set(np.unique(labels).tolist()))
    shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    if data.num_classes < 2:
        yield "train must have at least two classes, but all labels are 0"
    if missing:
        yield f"train must have every class from 0 to {data.num_classes - 1}, but has no {shown}"
    unknown = sorted(set(np.unique(data.labels_of("test")).tolist()) - set(np.unique(labels)))
    if unknown:
        yield f"test has labels {unknown} that train has not"


def _fold_problems(labels: NDArray[np.int64], folds: int) -> Iterable[str]:
    """Every class must be in every fold, and twice in what is left to train on."""
    classes, counts = np.unique(labels, return_counts=True)
    for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
        left = count - math.ceil(count / folds) if folds > 1 else count
        if count < folds or left < 2:
            cut = f"{folds} folds; use fewer folds or" if folds > 1 else "an inner split; use"
            yield (f"class {label} has {count} windows in train, too few for {cut} more data")
    rows = len(labels) - math.ceil(len(labels) / folds) if folds > 1 else len(labels)
    if math.ceil(rows * INNER_FRACTION) < len(classes):
        yield (
            f"train has {len(labels)} windows: {INNER_FRACTION:.0%} of a fold's {rows}, watched "
            "for early stopping, must hold every class; use more data"
        )


def _shared_rows(data: "Data") -> Iterable[str]:
    """Test windows that were trained on tell nothing of new ones."""
    test = [row.tobytes() for row in data.windows_of("test")]
    for part in ("train", "unlabeled"):
        known = {row.tobytes() for row in data.windows_of(part)}
        shared = [i for i, row in enumerate(test) if row in known]
        if shared:
            yield (
                f"{len(shared)} windows of test are in {part} too, the first is test window "
                f"{shared[0]}; take them out of one of both"
            )
