"""Markdown that reads back as what was said, whatever that was."""

import pytest
from markdown_it import MarkdownIt

from phasetune.report.page.markdown import markdown_text
from report.page.pages import HOSTILE, content, drawn

READER = MarkdownIt("commonmark").enable("table")


@pytest.fixture(scope="module")
def text() -> str:
    return markdown_text(content(), [drawn()], folder="figures")


def test_nothing_that_people_wrote_becomes_markup(text: str) -> None:
    html = READER.render(text)
    assert "<script" not in html
    assert "<em>a</em>" not in html
    assert 'href="j"' not in html
    assert html.count("שלום") > 15


def test_tables_have_their_rows_with_the_winner_in_bold(text: str) -> None:
    html = READER.render(text)
    assert html.count("<table>") == 3
    assert "<strong>1.0</strong>" in html
    assert '<td style="text-align:right">2.0</td>' in html


def test_figures_are_pictures_beside_it(text: str) -> None:
    assert "](figures/phase-one.png)" in text


def test_it_says_the_answer_the_score_and_what_to_be_careful_about(text: str) -> None:
    for words in ("Not finished.", "## Answer", "0.7500", "0.8000 ± 0.0100", "- **warning**: "):
        assert words in text


def test_a_section_with_nothing_to_show_is_not_there(text: str) -> None:
    assert "## Nothing" not in text
    assert markdown_text(content("x"), [], folder="f").count("## x\n") == 1


def test_what_is_folded_stands_in_details(text: str) -> None:
    assert text.count("<details><summary>") == text.count("</details>") == 1
    assert HOSTILE not in text
