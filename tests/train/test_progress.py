"""Where a fit stands: what counts as better, what is remembered, and when it is over."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.train.progress import Progress, is_better
from phasetune.train.settings import Mode, Training

FINITE = st.floats(-1e6, 1e6)


def seen(training: Training, *values: float, metric: str = "val_loss") -> tuple[Progress, str]:
    """After these validations, one per epoch; and a letter for each, `b` for a new best."""
    progress, letters = Progress(), ""
    for value in values:
        progress.epoch += 1
        metrics = {"val_loss": 10.0 * progress.epoch, metric: value}
        letters += "b" if progress.see(metrics, training) else "."
    return progress, letters


@pytest.mark.parametrize(
    ("value", "than", "mode", "min_delta", "expected"),
    [
        (1.0, 2.0, "min", 0.0, True),
        (2.0, 1.0, "min", 0.0, False),
        (1.0, 1.0, "min", 0.0, False),
        (2.0, 1.0, "max", 0.0, True),
        (1.0, 2.0, "max", 0.0, False),
        (1.0, 1.0, "max", 0.0, False),
        (1.5, 2.0, "min", 0.5, False),
        (1.25, 2.0, "min", 0.5, True),
        (2.5, 2.0, "max", 0.5, False),
        (2.75, 2.0, "max", 0.5, True),
        (1e300, math.nan, "min", 1e6, True),
        (math.nan, 1.0, "min", 0.0, False),
        (math.nan, 1.0, "max", 0.0, False),
        (math.nan, math.nan, "min", 0.0, False),
        (math.inf, 1.0, "max", 0.0, True),
    ],
)
def test_better_is_by_more_than_min_delta(
    value: float, than: float, mode: Mode, min_delta: float, expected: bool
) -> None:
    assert is_better(value, than=than, mode=mode, min_delta=min_delta) is expected


@given(one=FINITE, other=FINITE, mode=st.sampled_from(["min", "max"]), delta=st.floats(0.0, 1e3))
def test_of_two_values_at_most_one_is_better(
    one: float, other: float, mode: Mode, delta: float
) -> None:
    first = is_better(one, than=other, mode=mode, min_delta=delta)
    second = is_better(other, than=one, mode=mode, min_delta=delta)
    assert not (first and second)
    if delta == 0.0:
        assert (first or second) == (one != other)


@pytest.mark.parametrize(
    ("changes", "values", "letters", "best"),
    [
        ({}, [3.0, 2.0, 2.5, 1.0], "bb.b", (4, 1.0)),
        ({"mode": "max"}, [3.0, 2.0, 4.0, 4.0], "b.b.", (3, 4.0)),
        ({"min_delta": 0.5}, [3.0, 2.75, 2.5, 2.25], "b..b", (4, 2.25)),
        ({"mode": "max"}, [math.nan, 0.5, math.nan], ".b.", (2, 0.5)),
    ],
    ids=str,
)
def test_the_best_is_remembered_by_what_is_watched(
    changes: dict[str, Any], values: list[float], letters: str, best: tuple[int, float]
) -> None:
    training = Training(watch="score", **changes)
    progress, found = seen(training, *values, metric="score")
    assert (found, (progress.best_epoch, progress.best_value)) == (letters, best)
    assert progress.best_val_loss == 10.0 * best[0]
    assert progress.val_loss == 10.0 * len(values)
    assert progress.validated_epoch == len(values)


@pytest.mark.parametrize(
    ("changes", "state", "is_over"),
    [
        ({"epochs": 5}, {"epoch": 4}, False),
        ({"epochs": 5}, {"epoch": 5}, True),
        ({"epochs": 0}, {}, True),
        ({"patience": 3}, {"epoch": 6, "validated_epoch": 6, "best_epoch": 4}, False),
        ({"patience": 3}, {"epoch": 7, "validated_epoch": 7, "best_epoch": 4}, True),
        ({"patience": None}, {"epoch": 49, "validated_epoch": 49, "best_epoch": 1}, False),
        ({"patience": 3}, {"epoch": 9, "validated_epoch": 6, "best_epoch": 4}, False),
        ({}, {"epoch": 1, "is_out_of_time": True}, True),
    ],
    ids=str,
)
def test_it_is_over_where_nothing_got_better_or_nothing_is_left(
    changes: dict[str, Any], state: dict[str, Any], is_over: bool
) -> None:
    assert Progress(**state).is_over(Training(**changes)) is is_over


@pytest.mark.parametrize(
    ("patience_from", "is_over"), [(0, True), (3, True), (4, True), (5, False), (8, False)]
)
def test_patience_counts_from_a_later_epoch_where_it_is_told_to(
    patience_from: int, is_over: bool
) -> None:
    progress = Progress(epoch=7, validated_epoch=7, best_epoch=2)
    assert progress.is_over(Training(patience=3), patience_from=patience_from) is is_over


def test_how_long_it_took_does_not_make_two_fits_differ() -> None:
    assert Progress(epoch=3, seconds=1.0) == Progress(epoch=3, seconds=2.0)
