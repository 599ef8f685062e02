"""How figures look: colours, fonts, sizes and numbers, in one place.

Colours that stand for something differ by at least 20 in CIELAB for people who see all colours
and for those who lack red or green cones (Machado, Oliveira and Fernandes 2009, "A
physiologically-based model for simulation of color vision deficiency"), and from white paper by a
contrast of at least 3, text by 4.5 (WCAG 2.1, success criteria 1.4.11 and 1.4.3). Blue and green
are those of Okabe and Ito (2008, "Color universal design"). Nothing is said by colour alone.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from phasetune.report.numbers import short_number_text

FULL_WIDTH_INCHES = 7.2
HALF_WIDTH_INCHES = 3.5
FONT_SIZE_POINTS = 9.0
FONTS_ON_PAGES = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

WINNER = "#0072B2"
LIMIT = "#B84600"
INK = "#1F2937"
QUIET = "#6B7280"
OTHERS = "#9CA3AF"
FAINT = "#D1D5DB"
BAND = "#E8F1F8"
FORBIDDEN = "#FBEADF"
STAGES = ("#009E73", "#B8860B", "#882255", "#332288")
TRUNKS = (WINNER, *STAGES)

_DECADES_OF_A_LOG_SCALE = 2.0
_STYLE: Any = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that widths are the same everywhere
    "font.size": FONT_SIZE_POINTS,
    "axes.titlesize": FONT_SIZE_POINTS,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": FONT_SIZE_POINTS,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": FONT_SIZE_POINTS,
    "ytick.labelsize": FONT_SIZE_POINTS,
    "legend.fontsize": FONT_SIZE_POINTS,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,  # names and reasons may hold a dollar sign
    "hatch.linewidth": 0.8,
    "svg.fonttype": "none",  # text stays text: selectable, searchable, as sharp as the page's own
    "svg.hashsalt": "phasetune",
}


@contextmanager
def styled() -> Iterator[None]:
    """Within the block matplotlib draws in this style, whatever the user's settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(*, width_inches: float = FULL_WIDTH_INCHES, height_inches: float) -> Figure:
    """An empty figure that fits its content by itself; make it within `styled`."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained", facecolor="white")


def stage_colours(stages: Iterable[str]) -> dict[str, str]:
    """A colour for each stage, by the order of their names: the same in all figures of a study."""
    names = sorted(set(stages))
    return {name: STAGES[index % len(STAGES)] for index, name in enumerate(names)}


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Ticks as plain numbers, few of them."""
    formatter = FuncFormatter(lambda value, _: short_number_text(value))
    for axis in ([axes.xaxis] if x else []) + ([axes.yaxis] if y else []):
        axis.set_major_formatter(formatter)
        axis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def whole_steps(axes: Axes) -> None:
    """Ticks of a horizontal axis that counts steps."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))


def needs_log_scale(values: Iterable[float]) -> bool:
    """Whether values span so much that equal steps would hide most of them."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or min(finite) <= 0.0:
        return False
    return math.log10(max(finite) / min(finite)) > _DECADES_OF_A_LOG_SCALE


def log_scale(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))


def elided(text: str, longest: int) -> str:
    """A text of at most `longest` characters: its middle gives way."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """`1 trial`, `2 trials`, `1,998 trials`."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def extended(low: float, high: float, *, share: float = 0.06) -> tuple[float, float]:
    """Limits of an axis around values, never empty."""
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


def named_ticks(axes: Axes, names: Mapping[float, str]) -> None:
    """Ticks of a horizontal axis at given places with given texts."""
    axes.set_xticks(list(names), labels=list(names.values()))


def luminance(colour: Sequence[float]) -> float:
    """The relative luminance of red, green and blue between 0 and 1 (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def readable_on(colour: Sequence[float]) -> str:
    """White or ink, whichever has more contrast with a colour (WCAG 2.1)."""
    paper, ink = luminance(colour) + 0.05, luminance(to_rgb(INK)) + 0.05
    return "white" if 1.05 / paper > paper / ink else INK
