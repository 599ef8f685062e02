"""Content of reports: of studies, section by section; and with hostile text in every place."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from phasetune.report.figures import StudyFigure
from phasetune.report.page.content import Chip, StudyContent, study_content
from phasetune.report.page.health import Finding, Severity
from phasetune.report.page.sections.blocks import (
    Bullets,
    Column,
    Facts,
    FigurePlace,
    Paragraph,
    Row,
    Section,
    Table,
)
from phasetune.report.page.sections.final import Score
from phasetune.report.page.sections.steps import Step, Surety
from phasetune.report.page.statistics import Interval
from phasetune.store.paths import ResultsPaths, StudyPaths

HOSTILE = "<script>alert('1')</script> & | *a* _b_ `c` $d$ %e #f ~g^h [i](j) \\k {l} \"m\" שלום"


def score(interval: Interval | None = None) -> Score:
    return Score(
        metric=HOSTILE,
        heading=HOSTILE,
        test=0.75,
        interval=interval,
        words=HOSTILE,
        validation=0.8,
        validation_words="0.8000 ± 0.0100",
    )


def content(text: str = HOSTILE) -> StudyContent:
    """Every field and every kind of block says this text."""
    row = Row(cells=(text, "1.0"), is_marked=True)
    columns = (Column(title=text), Column(title="score", is_number=True))
    blocks = (
        Paragraph(text=text, is_lead=True, names=("alert",)),
        Bullets(texts=(text,)),
        Facts(pairs=((text, text),)),
        FigurePlace(kind="phase", phase="one"),
        Table(title=text, columns=columns, rows=(row, Row(cells=(text, "2.0"), is_muted=True))),
        Table(title=text, columns=columns, rows=(row,), folded=text),
    )
    return StudyContent(
        name=text,
        question=text,
        asked=text,
        is_complete=False,
        answer=(text, text),
        chips=(Chip(parameter=text, value=text, phase="one", surety=Surety.TIE),),
        score=score(Interval(low=0.7, high=0.79)),
        steps=(
            Step(
                phase="one",
                asked=text,
                winner=text,
                chosen=text,
                score="1.0",
                ahead="0.1",
                surety=Surety.TIE,
                words=text,
            ),
        ),
        findings=(Finding(check="some", severity=Severity.WARNING, sentence=text),),
        sections=(
            Section(anchor="one", title=text, kicker=text, blocks=blocks),
            Section(anchor="empty", title="Nothing", blocks=(FigurePlace(kind="timeline"),)),
        ),
    )


def drawn(name: str = "phase-one", text: str = HOSTILE) -> StudyFigure:
    """A figure with a line and hostile words about it."""
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().plot([0, 1], [0, 1])
    figure.set_label(text)
    return StudyFigure(
        name=name,
        title=text,
        caption=text,
        alt=text,
        phase="one",
        kind="phase",
        data=pd.DataFrame({"score": [1.0]}),
        figure=figure,
    )


def content_of(paths: StudyPaths) -> StudyContent:
    """What the report of a study below a results root says."""
    return study_content(ResultsPaths(paths.root.parent), paths)


def texts(content: StudyContent, anchor: str) -> str:
    """Everything that a section says outside its tables."""
    section = next(section for section in content.sections if section.anchor == anchor)
    found: list[str] = []
    for block in section.blocks:
        if isinstance(block, Paragraph):
            found.append(block.text)
        elif isinstance(block, Bullets):
            found += block.texts
        elif isinstance(block, Facts):
            found += [f"{name}: {text}" for name, text in block.pairs]
    return " ".join(found)


def tables(content: StudyContent, anchor: str) -> list[Table]:
    """The tables of a section."""
    section = next(section for section in content.sections if section.anchor == anchor)
    return [block for block in section.blocks if isinstance(block, Table)]


def one_phase(*points: dict[str, Any]) -> list[dict[str, Any]]:
    """A study's phases: these points."""
    return [{"name": "one", "points": list(points)}]
