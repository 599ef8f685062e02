"""Metrics as MLflow takes them: with a name, a step and a time in milliseconds, and never back."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

from phasetune.tracking.contract import Series
from phasetune.tracking.mlflow.words import mlflow_name

MOST_IN_A_CALL = 1000
_LARGEST = 1.7976931348623157e308


def next_step(had: tuple[float, int] | None, value: float) -> int | None:
    """The step for a final metric of which the run has this value and step, if any: a new value is
    a step after the old, since MLflow takes no value back and shows the last one. None where it has
    the same.
    """
    if had is None:
        return 0
    return None if _is_same(had[0], value) else had[1] + 1


def _is_same(stored: float, value: float) -> bool:
    """MLflow keeps infinity as the largest number there is."""
    if math.isnan(stored) or math.isnan(value):
        return math.isnan(stored) and math.isnan(value)
    return _finite(stored) == _finite(value)


def _finite(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))


def batches(series: Sequence[Series]) -> Iterator[list[Any]]:
    """Metrics of whole steps, as many as one call takes."""
    batch: list[Any] = []
    for more in _steps(series):
        if batch and len(batch) + len(more) > MOST_IN_A_CALL:
            yield batch
            batch = []
        batch += more
    if batch:
        yield batch


def _steps(series: Sequence[Series]) -> Iterator[list[Any]]:
    from mlflow.entities import Metric

    for part in series:
        for step, metrics, at in zip(part.steps, part.metrics, part.times, strict=True):
            yield [
                Metric(mlflow_name(f"{part.stage}/{name}"), float(value), milliseconds(at), step)
                for name, value in metrics.items()
            ]


def milliseconds(at: float | None) -> int:
    """A time in seconds since 1970, now where it is not known, as MLflow has times."""
    return int((time.time() if at is None else at) * 1000)
