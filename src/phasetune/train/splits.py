"""The evaluation protocol's splits of labelled rows.

An outer part is held out and only scored; early stopping and the like use an inner split of the
run's own training rows. Both are stratified and depend on their seeds and the labels alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasetune.errors import StageError
from phasetune.stage.contract import Fold

Indices = NDArray[np.intp]

INNER_FRACTION = 0.15


def outer_split(labels: NDArray[Any], fold: Fold | None) -> tuple[Indices, Indices]:
    """Row indices to train on and to be scored on, each in ascending order.

    With no fold (a refit) all rows are trained on and none is held out. `labels` has shape [n].

    Raises:
        StageError: a class has fewer rows than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    if fold is None:
        return np.arange(len(labels)), np.arange(0)
    _refuse_small_classes(labels, fold.of)
    splitter = StratifiedKFold(n_splits=fold.of, shuffle=True, random_state=fold.seed)
    train, held_out = list(splitter.split(np.zeros(len(labels)), labels))[fold.index]
    return train, held_out


def inner_split(
    labels: NDArray[Any], rows: Indices, *, seed: int, fraction: float = INNER_FRACTION
) -> tuple[Indices, Indices]:
    """Split a run's own training rows into rows to fit and rows to watch, both ascending.

    `labels` has shape [n], `rows` indexes into it; `fraction` of the rows are watched.

    Raises:
        StageError: a class has fewer than two of these rows, or they are too few to watch any.
    """
    from sklearn.model_selection import train_test_split

    _refuse_small_classes(labels[rows], 2)
    try:
        fit, watch = train_test_split(
            rows, test_size=fraction, random_state=seed, stratify=labels[rows]
        )
    except ValueError as error:
        raise StageError(
            f"{len(rows)} rows can't be split to watch {fraction:.0%}: {error}"
        ) from error
    return np.sort(fit), np.sort(watch)


def _refuse_small_classes(labels: NDArray[Any], least: int) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) and counts.min() < least:
        rare = classes[counts.argmin()]
        raise StageError(
            f"class {rare} has {counts.min()} rows, which can't be split {least} ways; "
            "use fewer folds or more data"
        )
