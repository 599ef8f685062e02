r"""The report's tables as LaTeX, for `\input` in a document that loads `booktabs`."""

import re
from collections.abc import Iterator

from phasetune.report.numbers import number_text
from phasetune.report.page.content import StudyContent
from phasetune.report.page.sections.blocks import Row, Table
from phasetune.report.page.sections.steps import steps_table

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after the end of a row it would open a length
    "]": "{]}",
    "*": "{*}",
    "±": r"\ensuremath{\pm}",
    "≥": r"\ensuremath{\geq}",
    "…": r"\ldots{}",
}
_HEAD = r"""% Made by phasetune from a study's results: one table environment per table.
% \usepackage{booktabs} and, for \textquotedbl, \usepackage[T1]{fontenc}
"""


def latex_text(content: StudyContent) -> str:
    """Every open table of the report, one environment each, behind a comment on what it needs."""
    sections = [block for section in content.sections for block in section.blocks]
    tables = [block for block in sections if isinstance(block, Table) and block.folded is None]
    found = [steps_table(content.steps), *tables]
    parts = (
        "\n".join(_environment(table, content, number))
        for number, table in enumerate(found, start=1)
    )
    return "\n\n".join((_HEAD + _score(content), *parts)) + "\n"


def escaped(text: str) -> str:
    """A text with every sign that LaTeX would read as its own, and no dashes made of hyphens."""
    safe = "".join(_SIGNS.get(sign, sign) for sign in text)
    return re.sub("-(?=-)", "-{}", safe)


def _score(content: StudyContent) -> str:
    """The final score as a command, so that a text can't say another one than the tables.

    It is that of the report that was read last, so it is empty where that has no score.
    """
    score = content.score
    value = "" if score is None else f"{number_text(score.test)}, {score.words}"
    return (
        "\\providecommand{\\phasetunetestscore}{}\n"
        rf"\renewcommand{{\phasetunetestscore}}{{{escaped(value)}}}"
    )


def _environment(table: Table, content: StudyContent, number: int) -> Iterator[str]:
    study = re.sub(r"[^A-Za-z0-9]+", "-", content.name)
    sides = "".join("r" if column.is_number else "l" for column in table.columns)
    yield r"\begin{table}[htbp]"
    yield r"  \centering"
    yield rf"  \caption{{{escaped(table.title)}}}"
    yield rf"  \label{{tab:{study}-{number}}}"
    yield rf"  \begin{{tabular}}{{{sides}}}"
    yield r"    \toprule"
    yield f"    {' & '.join(escaped(column.title) for column in table.columns)} \\\\"
    yield r"    \midrule"
    for row in table.rows:
        yield f"    {' & '.join(_cells(row))} \\\\"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    yield r"\end{table}"


def _cells(row: Row) -> list[str]:
    texts = [escaped(cell) for cell in row.cells]
    return [rf"\textbf{{{text}}}" if row.is_marked and text else text for text in texts]
