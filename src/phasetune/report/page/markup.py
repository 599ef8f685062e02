"""The report as one HTML page: it needs nothing else, no network and no scripts.

Everything from studies is escaped by the template engine; figures are SVG elements of ours.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from phasetune.report.figures import StudyFigure, svg_text
from phasetune.report.numbers import number_text
from phasetune.report.page.content import StudyContent
from phasetune.report.page.health import Severity
from phasetune.report.page.sections.blocks import FigurePlace, Section
from phasetune.report.page.sections.final import Score

if TYPE_CHECKING:
    from jinja2 import Template

SIGNS = {"clear": "●", "likely": "◐", "tie": "≈", "unknown": "?", "none": "○"}
_STEP_OF_AXIS = 0.1
_WIDE_INCHES = 5.0


def page_text(content: StudyContent, figures: Sequence[StudyFigure]) -> str:
    """The whole page."""
    return _template("page.html").render(
        content=content,
        sections=shown_sections(content.sections, figures),
        css=Markup(_template("page.css").render()),  # noqa: S704 - ours
        signs=SIGNS,
        scale=None if content.score is None else scale_of(content.score),
        has_warnings=any(found.severity is Severity.WARNING for found in content.findings),
        figures_at=lambda place: placed(figures, place),
        svg=lambda drawn: Markup(svg_text(drawn.figure)),  # noqa: S704 - drawn by us, escaped
        is_wide=lambda drawn: drawn.figure.get_figwidth() > _WIDE_INCHES,
        named=named,
        number=number_text,
        kind=lambda part: type(part).__name__,
    )


def _template(name: str) -> "Template":
    environment = Environment(
        loader=PackageLoader("phasetune.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def placed(figures: Sequence[StudyFigure], place: FigurePlace) -> list[StudyFigure]:
    """The figures that stand at a place."""
    return [
        figure
        for figure in figures
        if figure.kind == place.kind and place.phase in (None, figure.phase)
    ]


def shown_sections(sections: Iterable[Section], figures: Sequence[StudyFigure]) -> list[Section]:
    """The sections that have something to show."""

    def says_something(section: Section) -> bool:
        return any(
            not isinstance(block, FigurePlace) or placed(figures, block) for block in section.blocks
        )

    return [section for section in sections if says_something(section)]


def named(text: str, names: Iterable[str]) -> Markup:
    """A text with the names in it told from its words."""
    longest_first = sorted(names, key=len, reverse=True)
    if not longest_first:
        return escape(text)
    pattern = re.compile("|".join(rf"(?<!\S){re.escape(name)}(?![\w=-])" for name in longest_first))
    parts, end = [], 0
    for found in pattern.finditer(text):
        parts += [escape(text[end : found.start()])]
        parts += [Markup('<span class="name">{}</span>').format(found[0])]
        end = found.end()
    return Markup().join([*parts, escape(text[end:])])


def scale_of(score: Score) -> Mapping[str, Any] | None:
    """Where test, interval and validation stand on a piece of the axis, in percent; None where
    there is no interval to show.
    """
    if score.interval is None:
        return None
    promised = [] if score.validation is None else [score.validation]
    values = [score.interval.low, score.interval.high, *promised]
    start = math.floor(min(values) / _STEP_OF_AXIS) * _STEP_OF_AXIS
    stop = math.ceil(max(values) / _STEP_OF_AXIS) * _STEP_OF_AXIS
    room = max(stop - start, _STEP_OF_AXIS)

    def place(value: float) -> float:
        return round(100.0 * (value - start) / room, 2)

    return {
        "low": place(score.interval.low),
        "width": round(place(score.interval.high) - place(score.interval.low), 2),
        "test": place(score.test),
        "validation": None if score.validation is None else place(score.validation),
        "from_text": f"{start:.1f}",
        "to_text": f"{start + room:.1f}",
    }
