"""Numbers as texts: the same in reports, tables and figures."""

MOST_PLAIN = 1e7
"""From here on a number has an exponent."""
_MANY_DIGITS = 10_000.0
_MINUS = "\N{MINUS SIGN}"


def number_text(value: float, *, decimals: int = 4) -> str:
    """So many digits behind the point, or as many that count where those say nothing.

    With four decimals `0.6742`, `1234.5000`, `0.00012`, `1.2e+09`.
    """
    is_plain = value == 0.0 or 10.0 ** (1 - decimals) <= abs(value) < MOST_PLAIN
    return f"{value:.{decimals}f}" if is_plain else f"{value:.{decimals}g}"


def short_number_text(value: float) -> str:
    """A number in as few characters as tell it, with a true minus sign: for axes and figures."""
    is_long = _MANY_DIGITS <= abs(value) < MOST_PLAIN
    return (f"{value:,.0f}" if is_long else f"{value:.4g}").replace("-", _MINUS)
