"""What trials scored, and the statistics a decision may use.

Mean and standard error over replicates; differences between trials are paired, replicate by
replicate, since all trials share seeds and folds (Dietterich 1998, "Approximate statistical tests
for comparing supervised classification learning algorithms", section 3). Across folds the training
sets overlap, so a standard error over folds is a description, not a guarantee (Bengio and
Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation").
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrialScore:
    """A trial's final metrics, one mapping per replicate; why it can't be judged, if so.

    `index` is its place in the file. A `baseline` that is no point is not a `candidate`.
    """

    name: str
    index: int
    key: str
    replicates: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    ineligible: str | None = None
    candidate: bool = True
    baseline: bool = False

    def values(self, metric: str) -> tuple[float, ...] | None:
        """The metric of each replicate, or None where one lacks it."""
        found = [replicate.get(metric) for replicate in self.replicates]
        complete = tuple(value for value in found if value is not None)
        return complete if found and len(complete) == len(found) else None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Mean, standard error of the mean (None with one value), and the values."""

    mean: float
    sem: float | None
    values: tuple[float, ...]


def summarise(values: Sequence[float]) -> Summary:
    """Summarise one metric over replicates; NaN and infinities carry through."""
    count = len(values)
    if not all(math.isfinite(value) for value in values):
        return Summary(mean=math.nan, sem=None, values=tuple(values))
    mean = statistics.mean(values)  # exact: equal values have that value as mean
    sem = statistics.stdev(values) / math.sqrt(count) if count > 1 else None
    return Summary(mean=mean, sem=sem, values=tuple(values))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Summary:
    """Summary of first minus second, replicate by replicate; both have the same length."""
    return summarise([a - b for a, b in zip(first, second, strict=True)])


def chain_metrics(stages: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """A replicate's metrics: the last stage's by their names, earlier ones as `<stage>_<name>`."""
    metrics: dict[str, float] = {}
    for position, (stage, found) in enumerate(stages):
        prefix = "" if position == len(stages) - 1 else f"{stage}_"
        metrics |= {f"{prefix}{name}": value for name, value in found.items()}
    return metrics


def summaries(score: TrialScore) -> dict[str, Summary]:
    """Every metric that all replicates have, by name."""
    names = sorted({name for replicate in score.replicates for name in replicate})
    found = {name: score.values(name) for name in names}
    return {name: summarise(values) for name, values in found.items() if values is not None}
