"""The report as Markdown, as GitHub reads it; figures are pictures beside it."""

from collections.abc import Iterator, Sequence

from phasetune.report.escaping import markdown_escaped as escaped
from phasetune.report.figures import StudyFigure
from phasetune.report.numbers import number_text
from phasetune.report.page.content import StudyContent
from phasetune.report.page.markup import placed, shown_sections
from phasetune.report.page.sections.blocks import (
    Block,
    Bullets,
    Facts,
    Paragraph,
    Row,
    Table,
)
from phasetune.report.page.sections.steps import steps_table


def markdown_text(content: StudyContent, figures: Sequence[StudyFigure], *, folder: str) -> str:
    """The whole report; pictures are named relative to it, below `folder`."""
    lines = [*_opening(content), *_answer(content), "## The way to the answer", ""]
    lines += _table(steps_table(content.steps))
    for section in shown_sections(content.sections, figures):
        lines += [f"## {escaped(section.title)}", ""]
        lines += [f"*{escaped(section.kicker)}*", ""] if section.kicker else []
        for block in section.blocks:
            lines += _block(block, figures, folder)
    return "\n".join(lines).rstrip() + "\n"


def _opening(content: StudyContent) -> Iterator[str]:
    yield from (f"# {escaped(content.name)}", "")
    for text in (content.question, content.asked, "" if content.is_complete else "Not finished."):
        if text:
            yield from (escaped(text), "")


def _answer(content: StudyContent) -> Iterator[str]:
    yield from ("## Answer", "")
    first, *more = content.answer
    yield from (f"**{escaped(first)}**", "")
    for sentence in more:
        yield from (escaped(sentence), "")
    yield from (f"- {escaped(c.parameter)} = **{escaped(c.value)}**" for c in content.chips)
    yield from [""] if content.chips else []
    if content.score is not None:
        score = content.score
        told = f"Test {score.metric}: {number_text(score.test)}, {score.words}."
        told += f" Validation: {score.validation_words}." if score.validation_words else ""
        yield from (escaped(told), "")
    if content.findings:
        yield from ("## Before you rely on it", "")
        for finding in content.findings:
            yield f"- **{finding.severity}**: {escaped(finding.sentence)}"
        yield ""


def _block(block: Block, figures: Sequence[StudyFigure], folder: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield from (escaped(block.text), "")
    elif isinstance(block, Bullets):
        yield from (*(f"- {escaped(text)}" for text in block.texts), "")
    elif isinstance(block, Facts):
        yield from (*(f"- {escaped(n)}: {escaped(text)}" for n, text in block.pairs), "")
    elif isinstance(block, Table):
        yield from _folded(block) if block.folded else _table(block)
    else:
        for figure in placed(figures, block):
            yield from (f"![{escaped(figure.alt)}]({folder}/{figure.name}.png)", "")
            yield from (f"**{escaped(figure.title)}.** {escaped(figure.caption)}", "")


def _folded(table: Table) -> Iterator[str]:
    yield f"<details><summary>{escaped(table.folded or '')}</summary>"
    yield ""
    yield from _table(table)
    yield from ("</details>", "")


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(escaped(column.title) for column in table.columns)} |"
    yield f"| {' | '.join('---:' if c.is_number else '---' for c in table.columns)} |"
    for row in table.rows:
        yield f"| {' | '.join(_cells(row))} |"
    yield ""


def _cells(row: Row) -> list[str]:
    texts = [escaped(cell) for cell in row.cells]
    return [f"**{text}**" if row.is_marked and text else text for text in texts]
