"""What a report may claim from its numbers: intervals, paired differences, the luck of the best.

Means are shown with the standard error over replicates, which describes them; intervals are 95%.
Whether the winner really leads is judged by the paired difference to the runner-up on the same
folds and seeds. Folds share most of their training rows, so their differences are not independent
and a plain t interval is too narrow (Bengio and Grandvalet 2004, "No unbiased estimator of the
variance of k-fold cross-validation"). With folds the interval shown is therefore the corrected
resampled t of Nadeau and Bengio (2003, "Inference for the generalization error"): its variance is
`(1/n + 1/(k-1)) s^2` instead of `s^2/n` for n differences over k folds, `1/(k-1)` being the size of
a fold over that of the other ones (Bouckaert and Frank 2004 for repeated folds). Without folds,
where replicates differ in their seeds alone, it is the plain paired t interval, and speaks of seeds
alone: with other data the difference may be another one.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from phasetune.select.scores import summarise

LEVEL = 0.95
_CELL = re.compile(r"confusion_(\d{1,4})_(\d{1,4})")
_OF_CLASS = re.compile(r"class_(\d{1,4})_(accuracy|recall|precision)")
_SAME = 1e-6
_ROUNDING = 1e-12

Counts = tuple[tuple[int, ...], ...]
"""Row i, column j: rows of class i that were taken for class j."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Share:
    """`hits` of `count` rows, and the Wilson interval of their share."""

    hits: int
    count: int
    interval: Interval


def wilson_interval(hits: int, count: int) -> Interval:
    """The 95% score interval of a share (Wilson 1927, "Probable inference, the law of succession,
    and statistical inference"); `count` is at least 1.
    """
    from scipy import stats

    found = stats.binomtest(hits, count).proportion_ci(confidence_level=LEVEL, method="wilson")
    return Interval(low=float(found.low), high=float(found.high))


def noise_of(values: Sequence[float]) -> float:
    """The standard error of a mean; zero where no noise was seen: of fewer than two values, of
    values that are not finite, or of such that differ by no more than rounding makes them differ.
    """
    error = summarise(values).sem if len(values) > 1 else None
    if error is None or error <= _ROUNDING * max(1.0, *map(abs, values)):
        return 0.0
    return error


def paired_interval(differences: Sequence[float], *, folds: int | None) -> Interval | None:
    """The 95% t interval of a mean difference, corrected for shared training rows with folds.

    None where no noise was seen.
    """
    count, error = len(differences), noise_of(differences)
    if not error:
        return None
    from scipy import stats

    shared = 0.0 if folds is None else count / (folds - 1)
    scale = error * math.sqrt(1.0 + shared)
    low, high = stats.t.interval(LEVEL, count - 1, loc=fmean(differences), scale=scale)
    return Interval(low=float(low), high=float(high))


def expected_best_of(count: int) -> float:
    """How far the best of `count` equally good settings is expected above them all by chance.

    In standard deviations of their noise: the mean of the largest of `count` independent standard
    normal values (David and Nagaraja 2003, "Order Statistics", section 3.1).
    """
    from scipy import integrate, special

    def density(x: float) -> float:
        normal = math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)
        return count * x * normal * float(special.ndtr(x)) ** (count - 1)

    found, _ = integrate.quad(density, -10.0, 10.0)
    return float(found)


def confusion_counts(metrics: Mapping[str, Any]) -> Counts | None:
    """The counts in metrics `confusion_i_j`; None where they are none, or not all there."""
    cells = {}
    for name, value in metrics.items():
        match = _CELL.fullmatch(name)
        if match is not None:
            cells[int(match[1]), int(match[2])] = float(value)
    size = math.isqrt(len(cells))
    classes = range(size)
    is_square = size > 0 and set(cells) == {(i, j) for i in classes for j in classes}
    if not is_square or not all(v.is_integer() and v >= 0 for v in cells.values()):
        return None
    return tuple(tuple(int(cells[i, j]) for j in classes) for i in classes)


def share_of(metric: str, metrics: Mapping[str, Any]) -> Share | None:
    """The counts behind an accuracy, recall or precision, with their interval.

    None where the metric is no share of rows, or not the one that the counts give.
    """
    counts = confusion_counts(metrics)
    found = None if counts is None else _hits(metric, counts)
    if found is None or found[1] == 0 or metric not in metrics:
        return None
    hits, count = found
    if not math.isclose(hits / count, float(metrics[metric]), abs_tol=_SAME):
        return None
    return Share(hits=hits, count=count, interval=wilson_interval(hits, count))


def _hits(metric: str, counts: Counts) -> tuple[int, int] | None:
    if metric == "accuracy":
        return sum(row[k] for k, row in enumerate(counts)), sum(map(sum, counts))
    match = _OF_CLASS.fullmatch(metric)
    if match is None or int(match[1]) >= len(counts):
        return None
    k = int(match[1])
    others = [row[k] for row in counts] if match[2] == "precision" else list(counts[k])
    return counts[k][k], sum(others)
