"""Values, keys and foreign text in a message: on one line, readable, cut where they are long."""

from collections.abc import Iterable, Sequence

_LONGEST_VALUE = 80
_LONGEST_TEXT = 400
_LONGEST_LIST = 200
_MOST_PROBLEMS = 40


def shown(value: object) -> str:
    """A value as Python writes it."""
    try:
        return _cut(repr(value), _LONGEST_VALUE)
    except ValueError:  # Python does not write numbers with thousands of digits
        kind = "number" if isinstance(value, int) else type(value).__name__
        return f"a {kind} too long to show"


def shown_key(key: str | int) -> str:
    """A key as it is, or quoted where it could not be told from the text around it."""
    text = str(key)
    is_plain = text.isprintable() and " " not in text and 0 < len(text) <= _LONGEST_VALUE
    return text if is_plain else shown(text)


def one_line(text: str) -> str:
    """Text from elsewhere, with spaces for its breaks and escapes for what can't be seen."""
    joined = " ".join(text[: 10 * _LONGEST_TEXT].split())
    seen = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)
    return _cut(seen, _LONGEST_TEXT)


def listed(names: Iterable[str]) -> str:
    """Names one after the other, as many as are easily read."""
    found = list(names)
    text = ", ".join(found)
    if len(text) <= _LONGEST_LIST:
        return text
    first = text[:_LONGEST_LIST].rpartition(", ")[0]
    return f"{first}, … ({len(found)} in all)"


def first_of(problems: Sequence[str]) -> list[str]:
    """The first problems, and how many more there are: a flood of them helps nobody."""
    more = len(problems) - _MOST_PROBLEMS
    if more <= 0:
        return list(problems)
    return [*problems[:_MOST_PROBLEMS], f"and {more} more problems, shown when these are mended"]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
