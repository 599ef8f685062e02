"""Figures as pictures."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from phasetune import StoreError
from phasetune.report.figures.rendering import svg_text, write_png
from phasetune.report.figures.style import new_figure, styled


def figure(name: str = "one", title: str = "Who <wins> & why", label: str = "$cost$") -> Figure:
    with styled():
        made = new_figure(width_inches=3.5, height_inches=2)
        made.set_gid(name)
        made.set_label(title)
        axes = made.subplots()
        axes.plot([0, 1], [0, 1], marker="o")
        axes.set_xlabel(label)
    return made


def ids(svg: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', svg))


def test_the_element_can_stand_in_a_page() -> None:
    text = svg_text(figure())
    root = ElementTree.fromstring(text)  # noqa: S314 - made above
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["width"] == "100%"
    assert "height" not in root.attrib
    assert root.attrib["viewBox"] == "0 0 252 144"
    assert "max-width: 3.5in" in root.attrib["style"]
    assert root[0].tag.endswith("title")
    assert root[0].text == "Who <wins> & why"


def test_nothing_of_it_reaches_the_rest_of_the_page_or_the_network() -> None:
    text = svg_text(figure())
    assert "<style" not in text
    assert "<?xml" not in text
    assert "<script" not in text
    assert set(re.findall(r'https?://[^"\s]+', text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_two_figures_share_no_ids_and_refer_to_their_own() -> None:
    first, second = svg_text(figure("one")), svg_text(figure("two"))
    assert not ids(first) & ids(second)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', first))
    assert used
    assert used <= ids(first)


def test_equal_figures_are_equal_texts() -> None:
    assert svg_text(figure()) == svg_text(figure())


def test_a_second_drawing_is_the_same() -> None:
    made = figure()
    assert svg_text(made) == svg_text(made)


def test_text_stays_text_in_the_fonts_of_the_page() -> None:
    text = svg_text(figure())
    assert ">$cost$</text>" in text
    assert "system-ui" in text
    assert "DejaVu Sans'" not in text


def test_a_picture_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    write_png(figure(), tmp_path / "figures" / "one.png", dpi=100)
    content = (tmp_path / "figures" / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)] == [350, 200]


def test_equal_pictures_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(figure(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_where_nothing_can_be_written_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/one\.png can't be written"):
        write_png(figure(), tmp_path / "file" / "one.png")
