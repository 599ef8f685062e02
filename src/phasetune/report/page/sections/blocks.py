"""What a report is made of: paragraphs, lists, tables, facts, places of figures. Plain texts all.

Text from studies is untrusted: what can't be seen is written as an escape, and each format escapes
what it would read as its own signs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A few sentences; a `lead` opens its section. `names` are to be told from the words."""

    text: str
    is_lead: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """Sentences of one kind, one below the other."""

    texts: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's heading; numbers are aligned to the right.

    On narrow pages one with `is_below_name` is no column: its cells stand below the first ones.
    """

    title: str
    is_number: bool = False
    is_below_name: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row's cells; the winner's is marked, those that can't win are muted."""

    cells: tuple[str, ...]
    is_marked: bool = False
    is_muted: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows below headings; one with `folded` is closed at first, behind that sentence."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    folded: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Things by their names."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class FigurePlace:
    """Where the figures of a kind stand; of one phase where it is named."""

    kind: str
    phase: str | None = None


Block = Paragraph | Bullets | Table | Facts | FigurePlace


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands below it; `kicker` is a word or two above it."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    kicker: str = ""


def printable(content: Any) -> Any:
    """Plain values with every text on one line, and escapes for what can't be seen, such as marks
    that turn the direction of the text around them.
    """
    if isinstance(content, str):
        joined = " ".join(content.split())
        seen = joined.isprintable()
        return joined if seen else "".join(c if c.isprintable() else _escape(c) for c in joined)
    if isinstance(content, Mapping):
        return {printable(str(name)): printable(value) for name, value in content.items()}
    return [printable(item) for item in content] if isinstance(content, list) else content


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def value_words(value: Any) -> str:
    """A setting as a study file writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def count_text(number: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration_text(seconds: float) -> str:
    """`0.4 s`, `45 s`, `12.3 min`, `4.5 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def listing(texts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(", ".join(texts).rsplit(", ", 1)) if len(texts) > 1 else "".join(texts)
