"""Metrics as MLflow takes them: with a name, a step and a time in milliseconds, and never back."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from phasetune.tracking.contract import Series
from phasetune.tracking.mlflow.words import mlflow_name

MOST_IN_A_CALL = 1000
_LARGEST = 1.7976931348623157e308


def changed_metrics(run: Any, metrics: Mapping[str, float]) -> Iterator[tuple[str, float, int]]:
    """Final metrics that the run has not, or has otherwise; a new value is a step after the old,
    since MLflow takes no value back and shows the last one.
    """
    had = {metric.key: metric for metric in run.to_proto().data.metrics}
    for name, value in metrics.items():
        key, number = mlflow_name(name), float(value)
        if key not in had:
            yield key, number, 0
        elif not _is_same(had[key].value, number):
            yield key, number, had[key].step + 1


def _is_same(stored: float, value: float) -> bool:
    """MLflow keeps infinity as the largest number there is."""
    if math.isnan(stored) or math.isnan(value):
        return math.isnan(stored) and math.isnan(value)
    return stored == max(-_LARGEST, min(_LARGEST, value))


def batches(series: Series) -> Iterator[list[Any]]:
    """Metrics of whole steps, as many as one call takes."""
    from mlflow.entities import Metric

    batch: list[Any] = []
    for step, metrics, at in zip(series.steps, series.metrics, series.times, strict=True):
        more = [
            Metric(mlflow_name(f"{series.stage}/{name}"), float(value), milliseconds(at), step)
            for name, value in metrics.items()
        ]
        if batch and len(batch) + len(more) > MOST_IN_A_CALL:
            yield batch
            batch = []
        batch += more
    if batch:
        yield batch


def milliseconds(at: float | None) -> int:
    """A time in seconds since 1970, now where it is not known, as MLflow has times."""
    return int((time.time() if at is None else at) * 1000)
