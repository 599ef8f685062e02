import math
from collections.abc import Callable

import pytest

from phasetune.select.scores import TrialScore, paired_difference, summaries, summarise

MakeScore = Callable[..., TrialScore]


@pytest.mark.parametrize(
    ("values", "mean", "sem"),
    [
        ([0.5], 0.5, None),
        ([1.0, 3.0], 2.0, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 2.5, math.sqrt(5 / 3) / 2),
        ([0.5, 0.5, 0.5], 0.5, 0.0),
    ],
)
def test_mean_and_standard_error(values: list[float], mean: float, sem: float | None) -> None:
    found = summarise(values)
    assert found.mean == mean
    assert found.sem == (None if sem is None else pytest.approx(sem))
    assert found.values == tuple(values)


@pytest.mark.parametrize("count", range(1, 31))
def test_the_mean_of_equal_values_is_that_value(count: int) -> None:
    values = [hundredths / 100 for hundredths in range(101)]
    assert [summarise([value] * count).mean for value in values] == values


def test_a_mean_does_not_depend_on_the_order_of_replicates() -> None:
    values = [0.1, 0.7, 1e-9, 0.3, 1e9]
    assert summarise(values) != summarise(values[::-1])
    assert summarise(values).mean == summarise(values[::-1]).mean


@pytest.mark.parametrize("values", [[math.nan], [1.0, math.inf], [math.inf, -math.inf]])
def test_what_is_not_finite_has_no_mean(values: list[float]) -> None:
    found = summarise(values)
    assert math.isnan(found.mean)
    assert found.sem is None
    assert len(found.values) == len(values)


def test_a_mean_of_very_large_values_is_finite() -> None:
    assert summarise([1.6e308, 1.6e308, 1.6e308]).mean == 1.6e308


def test_differences_are_taken_replicate_by_replicate() -> None:
    found = paired_difference([0.5, 1.0, 0.75], [0.25, 0.75, 0.5])
    assert (found.mean, found.sem, found.values) == (0.25, 0.0, (0.25, 0.25, 0.25))
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([0.5, 0.6], [0.5])


def test_a_metric_counts_where_every_replicate_has_it() -> None:
    score = TrialScore(name="a", index=0, key="k", replicates=({"x": 1.0, "y": 2.0}, {"x": 3.0}))
    assert score.values("x") == (1.0, 3.0)
    assert score.values("y") is None
    assert score.values("z") is None
    assert set(summaries(score)) == {"x"}


def test_without_replicates_there_are_no_values() -> None:
    score = TrialScore(name="a", index=0, key="k")
    assert score.values("x") is None
    assert summaries(score) == {}
