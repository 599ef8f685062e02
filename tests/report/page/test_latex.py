"""LaTeX tables, read back by a small reader of the signs that they may use."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.report.page.latex import escaped, latex_text
from report.page.pages import HOSTILE, content

WORDS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "textquotedbl": '"',
    "ldots": "…",
}
TOKEN = re.compile(
    r"\\ensuremath\{\\(pm|geq)\}|\\([a-z]+)\{\}|\\([{}$&#%_])|\{([\[\]*])\}|(-)\{\}|(.)", re.DOTALL
)
SIGNS = st.text(st.sampled_from("ab\\{}$&#%_~^<>|`\"[]*±≥…-'.,"), max_size=30)


def read_back(latex: str) -> str:
    """What LaTeX would print; a sign that it reads as its own must not be left."""
    found = []
    for match in TOKEN.finditer(latex):
        symbol, word, sign, guarded, dash, other = match.groups()
        assert other is None or other not in '\\{}$&#%_~^<>|`"[]*', latex
        named = None if word is None else WORDS[word]
        math = None if symbol is None else {"pm": "±", "geq": "≥"}[symbol]
        found.append(math or named or sign or guarded or dash or other)
    return "".join(found)


@given(SIGNS)
def test_a_cell_reads_back_as_it_was(text: str) -> None:
    assert read_back(escaped(text)) == text


@given(SIGNS)
def test_two_hyphens_stay_two(text: str) -> None:
    assert "--" not in escaped(text)


@pytest.fixture(scope="module")
def text() -> str:
    return latex_text(content())


def test_braces_and_environments_are_balanced(text: str) -> None:
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    begun, ended = (re.findall(rf"\\{verb}{{(\w+)}}", text) for verb in ("begin", "end"))
    assert begun == ["table", "tabular"] * 2
    assert ended == ["tabular", "table"] * 2


def test_each_row_has_a_cell_per_column(text: str) -> None:
    for columns, body in re.findall(r"begin{tabular}{(\w+)}(.*?)\\end{tabular}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert len(rows) >= 2
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}


def test_rules_are_those_of_booktabs_and_the_winner_is_bold(text: str) -> None:
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 2
    assert r"\textbf{1.0}" in text
    assert r"\textbf{2.0}" not in text


def test_folded_tables_are_left_to_the_page(text: str) -> None:
    assert text.count(escaped(HOSTILE)) > 5
    assert text.count(r"\caption{") == 2


def test_labels_are_plain_and_differ(text: str) -> None:
    labels = re.findall(r"\\label{(.*)}", text)
    assert len(set(labels)) == 2
    assert all(re.fullmatch(r"tab:[A-Za-z0-9-]+", label) for label in labels)


def test_the_final_score_is_a_command(text: str) -> None:
    assert r"\renewcommand{\phasetunetestscore}{0.7500, " in text
    assert text.index(r"\providecommand{\phasetunetestscore}{}") < text.index(r"\renewcommand")


def test_a_report_without_a_score_leaves_none_of_another_report() -> None:
    text = latex_text(replace(content(), score=None))
    assert "\\renewcommand{\\phasetunetestscore}{}\n" in text
