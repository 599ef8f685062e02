"""Numbers as texts."""

import math

import pytest

from phasetune.report.numbers import number_text, short_number_text


@pytest.mark.parametrize(
    ("value", "four", "six"),
    [
        (1.6, "1.6000", "1.600000"),
        (0.0, "0.0000", "0.000000"),
        (0.0078, "0.0078", "0.007800"),
        (0.0009, "0.0009", "0.000900"),
        (0.000123456, "0.0001235", "0.000123"),
        (-0.00000123456, "-1.235e-06", "-1.23456e-06"),
        (123_456.5, "123456.5000", "123456.500000"),
        (1e9, "1e+09", "1e+09"),
        (math.nan, "nan", "nan"),
        (-math.inf, "-inf", "-inf"),
    ],
)
def test_a_number_shows_what_it_is(value: float, four: str, six: str) -> None:
    assert (number_text(value), number_text(value, decimals=6)) == (four, six)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.30, "0.3"),
        (-2.5, "\N{MINUS SIGN}2.5"),
        (1234.5678, "1235"),
        (60_000.0, "60,000"),
        (1e-7, "1e\N{MINUS SIGN}07"),
        (3e14, "3e+14"),
    ],
)
def test_numbers_of_figures_are_short(value: float, text: str) -> None:
    assert short_number_text(value) == text
