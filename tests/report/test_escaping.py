"""Text in Markdown reads back as it was, whatever it was."""

import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from phasetune.report.escaping import markdown_escaped

READER = MarkdownIt("commonmark").enable("table")
SIGNS = st.text(st.sampled_from("ab1.)(-+=*_`~#|\\<>&![]$@:/ \"'"), min_size=1, max_size=30)


def plain(html: str) -> str:
    """What a reader sees of one paragraph or cell."""
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(entity, sign)
    return html


@given(SIGNS.map(str.strip).filter(bool))
def test_a_paragraph_reads_back_as_it_was(text: str) -> None:
    html = READER.render(markdown_escaped(text)).strip()
    found = re.fullmatch(r"<p>(.*)</p>", html, re.DOTALL)
    assert found is not None, html
    assert plain(found[1]) == text


@given(SIGNS.map(str.strip).filter(bool))
def test_a_cell_reads_back_as_it_was(text: str) -> None:
    html = READER.render(f"| head |\n| --- |\n| {markdown_escaped(text)} |")
    found = re.search(r"<td>(.*)</td>", html, re.DOTALL)
    assert found is not None
    assert plain(found[1]) == text
