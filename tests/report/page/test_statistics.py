"""Intervals and shares against values from the literature, by hand, and by other formulas."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.report.page.statistics import (
    confusion_counts,
    expected_best_of,
    noise_of,
    paired_interval,
    share_of,
    wilson_interval,
)

TWO = {"confusion_0_0": 8.0, "confusion_0_1": 2.0, "confusion_1_0": 1.0, "confusion_1_1": 9.0}


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        pytest.param(8, 10, 0.4902, 0.9433, id="a small share"),
        pytest.param(0, 10, 0.0, 0.2775, id="none at all"),
        pytest.param(10, 10, 0.7225, 1.0, id="all of them"),
        pytest.param(15, 148, 0.0624, 0.1605, id="Newcombe 1998, table I"),
    ],
)
def test_the_interval_of_a_share_is_wilson_s(
    hits: int, count: int, low: float, high: float
) -> None:
    found = wilson_interval(hits, count)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_holds_the_share_and_stays_between_zero_and_one(of: tuple[int, int]) -> None:
    hits, count = of
    found = wilson_interval(hits, count)
    assert 0.0 <= found.low <= found.high <= 1.0
    assert found.low - 1e-12 <= hits / count <= found.high + 1e-12


@pytest.mark.parametrize(
    ("folds", "half"),
    [
        pytest.param(None, 4.302653 / math.sqrt(3), id="seeds: plain"),
        pytest.param(3, 4.302653 * math.sqrt(1 / 3 + 1 / 2), id="3 folds: corrected"),
        pytest.param(11, 4.302653 * math.sqrt(1 / 3 + 1 / 10), id="many folds: nearly plain"),
    ],
)
def test_the_interval_of_a_difference_is_wider_where_folds_share_rows(
    folds: int | None, half: float
) -> None:
    found = paired_interval([1.0, 2.0, 3.0], folds=folds)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([2 - half, 2 + half])


@pytest.mark.parametrize(
    "differences",
    [
        pytest.param([], id="none"),
        pytest.param([0.1], id="one"),
        pytest.param([0.2, 0.2, 0.2], id="equal"),
        pytest.param([0.9 - 0.6, 0.8 - 0.5, 0.7 - 0.4], id="equal but for rounding"),
        pytest.param([1e6, 1e6 + 1e-9, 1e6], id="large and equal but for rounding"),
        pytest.param([0.1, math.nan], id="not a number"),
    ],
)
def test_where_no_noise_was_seen_there_is_no_interval(differences: list[float]) -> None:
    assert noise_of(differences) == 0.0
    assert paired_interval(differences, folds=None) is None


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_noise_that_is_seen_is_the_standard_error(scale: float) -> None:
    assert noise_of([1.0 * scale, 2.0 * scale, 3.0 * scale]) == pytest.approx(scale / 3**0.5)


@pytest.mark.parametrize(
    ("count", "ahead"), [(1, 0.0), (2, 0.56419), (3, 0.84628), (5, 1.16296), (10, 1.53875)]
)
def test_the_best_of_several_is_ahead_by_luck(count: int, ahead: float) -> None:
    assert expected_best_of(count) == pytest.approx(ahead, abs=1e-5)  # Harter 1961, table 1


@pytest.mark.parametrize(
    ("metrics", "counts"),
    [
        pytest.param(TWO, ((8, 2), (1, 9)), id="two classes"),
        pytest.param({"accuracy": 1.0}, None, id="no counts"),
        pytest.param({"confusion_0_0": 1.0, "confusion_0_1": 2.0}, None, id="not square"),
        pytest.param({**TWO, "confusion_1_1": 0.5}, None, id="not whole"),
        pytest.param({**TWO, "confusion_1_1": -1.0}, None, id="negative"),
        pytest.param({**TWO, "confusion_1_1": "nan"}, None, id="not a number"),
    ],
)
def test_counts_are_read_from_metrics(metrics: dict[str, Any], counts: Any) -> None:
    assert confusion_counts(metrics) == counts


@pytest.mark.parametrize(
    ("metric", "hits", "count"),
    [
        ("accuracy", 17, 20),
        ("class_0_recall", 8, 10),
        ("class_1_accuracy", 9, 10),
        ("class_0_precision", 8, 9),
    ],
)
def test_a_share_has_its_counts(metric: str, hits: int, count: int) -> None:
    found = share_of(metric, {**TWO, metric: hits / count})
    assert found is not None
    assert (found.hits, found.count) == (hits, count)
    assert found.interval == wilson_interval(hits, count)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        pytest.param("accuracy", 0.5, id="another accuracy than the counts give"),
        pytest.param("class_2_recall", 0.5, id="a class that is not there"),
        pytest.param("macro_f1", 0.85, id="no share"),
        pytest.param("accuracy", "nan", id="not a number"),
    ],
)
def test_what_counts_do_not_give_has_no_interval(metric: str, value: Any) -> None:
    assert share_of(metric, {**TWO, metric: value}) is None


def test_a_class_without_rows_has_no_interval() -> None:
    empty = {"confusion_0_0": 3.0, "confusion_0_1": 0.0, "confusion_1_0": 0.0}
    metrics = {**empty, "confusion_1_1": 0.0, "class_1_recall": "nan"}
    assert share_of("class_1_recall", metrics) is None
