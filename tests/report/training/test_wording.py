"""Numbers and settings as texts."""

from typing import Any

import numpy as np
import pytest

from phasetune.report.training.wording import (
    long_number,
    metric_lines,
    plain_settings,
    setting_lines,
    short_number,
)


@pytest.mark.parametrize(
    ("value", "long", "short"),
    [
        (1.6, "1.600000", "1.6000"),
        (1e9, "1e+09", "1e+09"),
        (None, "not reported", "not reported"),
    ],
)
def test_a_number_shows_what_it_is(value: float | None, long: str, short: str) -> None:
    assert (long_number(value), short_number(value)) == (long, short)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (True, True),
        ((1, [2]), [1, [2]]),
        ({"a": np.int8(1)}, {"a": 1}),
        (np.zeros(2), "[0. 0.]"),
        (float, "<class 'float'>"),
    ],
)
def test_any_value_becomes_a_plain_one(value: Any, plain: Any) -> None:
    assert plain_settings({"x": value}) == {"x": plain}


def test_columns_stand_below_each_other_and_names_stay_on_their_line() -> None:
    longest = "n" * 40
    assert setting_lines({"lr": 2e-05, longest: "a\nb"}) == [
        f"  {'lr':<40}: 2e-05",
        f"  {longest}: a b",
    ]
    assert metric_lines({"b": 1.0, "a": 0.5})[0] == f"  {'a':<30}: 0.500000"
