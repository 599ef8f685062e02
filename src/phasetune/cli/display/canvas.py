"""The columns and lines of a terminal, and how text is laid out in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from phasetune.cli.display.progress import printable
from phasetune.store.masking import masked

_WIDEST = 110
_NARROW = 64
_TITLES = 9


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """The columns and lines of a terminal; `is_ascii` where it has no other letters.

    Without `lines` it is paper: there are as many as it takes, and long ones are wrapped.
    """

    columns: int
    lines: int | None = None
    is_ascii: bool = False

    @property
    def width(self) -> int:
        """Lines that are much longer are hard to read."""
        return max(20, min(self.columns, _WIDEST))

    @property
    def is_narrow(self) -> bool:
        """Whether little fits beside each other."""
        return self.width < _NARROW


def rough_text(seconds: float) -> str:
    """Such as `12 s`, `3 min`, `2 h 5 min`, `3 d 4 h`: as exact as an estimate can be."""
    minutes, whole = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{whole} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def title(text: str) -> Text:
    """What a line is about."""
    return Text(f"{text:<{_TITLES}}", style="dim")


def sides(left: Text, right: Text, canvas: Canvas) -> Text:
    """The left text cut where the right one, at the end of the line, needs room."""
    room = canvas.width - right.cell_len - 2
    left = left.copy()
    left.truncate(room, overflow="ellipsis", pad=True)
    return left + Text("  ") + right


def flowed(first: Text, parts: Sequence[Text], canvas: Canvas, *, between: str) -> Iterator[Text]:
    """Parts behind each other; what does not fit any more begins a line, indented as a title."""
    line, gap = first, ""
    for part in parts:
        is_full = line.cell_len + len(gap) + part.cell_len > canvas.width
        if is_full and line.cell_len > _TITLES:
            yield line
            line, gap = title(""), ""
        line = line + Text(gap, style="dim") + part
        gap = between
    yield line


def sentence(first: Text, text: str, canvas: Canvas, *, style: str = "") -> Iterator[Text]:
    """Words that go on below where they began."""
    words = [Text(word, style=style) for word in text.split()]
    yield from flowed(first, words, canvas, between=" ")


def fitting(line: Text, canvas: Canvas) -> Text:
    """The line, cut where the canvas ends."""
    if canvas.lines is None:
        return line
    shown = line.copy()
    shown.no_wrap = True
    shown.truncate(canvas.width, overflow="ellipsis")
    return shown


def clean(text: str) -> str:
    """Text from a study, without secrets and what would drive a terminal."""
    return printable(masked(text))
