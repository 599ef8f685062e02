"""The page needs nothing else, hostile text stays text, all is in its place; what is written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from phasetune import PhasetuneError, StoreError, StudyOutcome, write_page
from phasetune.report.figures import study_figures
from phasetune.report.page.markup import named, page_text, scale_of
from phasetune.report.page.statistics import Interval
from phasetune.report.page.write import write_study_page
from phasetune.store.documents import write_document
from phasetune.store.paths import ResultsPaths
from report.conftest import Runner
from report.page.pages import HOSTILE, content, drawn, score

ALLOWED = {"html", "head", "meta", "title", "link", "style", "body"}


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


@pytest.fixture(scope="module")
def hostile() -> Reader:
    return Reader(page_text(content(), [drawn()]))


def test_nothing_that_people_wrote_becomes_markup(hostile: Reader) -> None:
    assert not hostile.of("script")
    assert "".join(hostile.said).count(HOSTILE) > 15
    assert not [a for _, attributes in hostile.tags for a in attributes if a.startswith("on")]


def test_nothing_outside_is_asked_for(hostile: Reader) -> None:
    (policy,) = [a for a in hostile.of("meta") if a.get("http-equiv")]
    assert str(policy["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'")
    for name in ("href", "src", "xlink:href"):
        targets = [str(a[name]) for _, a in hostile.tags if a.get(name)]
        assert not [target for target in targets if not target.startswith(("#", "data:"))]
    styles = "".join(hostile.said)
    assert "@import" not in styles
    assert not re.search(r"url\((?!#)", styles)


def test_every_link_has_its_place(hostile: Reader) -> None:
    ids = [str(a["id"]) for _, a in hostile.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    wanted = {str(a["href"])[1:] for a in hostile.of("a")} - {"phase-one"}
    assert wanted <= set(ids)


def test_a_figure_stands_once_with_its_words(hostile: Reader) -> None:
    (figure,) = hostile.of("figure")
    assert figure["id"] == "figure-phase-one"
    assert len(hostile.of("svg")) == 1


def test_a_section_with_nothing_to_show_is_not_there(hostile: Reader) -> None:
    assert [a["id"] for a in hostile.of("section")] == ["one"]


@pytest.mark.parametrize(
    ("text", "names", "html"),
    [
        ("a wins by 1.", ["a"], '<span class="name">a</span> wins by 1.'),
        ("cat wins", ["c", "a"], "cat wins"),
        ("x=0.25, x=0.2.", ["x=0.2"], 'x=0.25, <span class="name">x=0.2</span>.'),
        (
            "b and b-c.",
            ["b", "b-c"],
            '<span class="name">b</span> and <span class="name">b-c</span>.',
        ),
        ("<b> a", ["a"], '&lt;b&gt; <span class="name">a</span>'),
        ("<b>", [], "&lt;b&gt;"),
    ],
)
def test_names_are_told_from_words(text: str, names: list[str], html: str) -> None:
    assert named(text, names) == html


def test_the_scale_holds_the_interval_and_the_promise() -> None:
    scale = scale_of(score(Interval(low=0.62, high=0.74)))
    assert scale == {
        "low": 10.0,
        "width": 60.0,
        "test": 75.0,
        "validation": 100.0,
        "from_text": "0.6",
        "to_text": "0.8",
    }
    assert scale_of(score()) is None


def page_of(outcome: StudyOutcome, out: Path) -> Reader:
    (page,) = write_page(outcome.paths.root.parent, out=out)
    return Reader(page.read_text())


def test_each_figure_is_on_the_page_and_a_picture(whole: StudyOutcome, tmp_path: Path) -> None:
    names = {f.name for f in study_figures(whole.paths.root.parent, whole.paths)}
    page = page_of(whole, tmp_path)
    assert {f"figure-{name}" for name in names} == {str(a["id"]) for a in page.of("figure")}
    pictures = list((tmp_path / "figures").glob("*.png"))
    assert {path.stem for path in pictures} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_all_formats_name_the_same_winner(whole: StudyOutcome, tmp_path: Path) -> None:
    paths = write_page(whole.paths.root.parent, formats=["html", "md", "tex"], out=tmp_path)
    assert [path.name for path in paths] == ["report.html", "report.md", "report.tex"]
    for path in paths:
        for record in whole.report["phases"]:
            assert record["winner"] in path.read_text().replace("\\", "")


def test_by_default_it_lies_in_the_study_s_folder_and_is_the_same_again(ran: Runner) -> None:
    outcome = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    results = ResultsPaths(outcome.paths.root.parent)
    (page,) = write_study_page(results, outcome.paths)
    assert page == outcome.paths.page
    before = page.read_bytes()
    write_study_page(results, outcome.paths)
    assert page.read_bytes() == before


def test_pictures_of_an_older_report_go_and_other_files_stay(
    whole: StudyOutcome, tmp_path: Path
) -> None:
    write_page(whole.paths.root.parent, out=tmp_path)
    pictures = tmp_path / "figures"
    for name in ("old.png", "mine.png"):
        (pictures / name).write_bytes(b"")
    (tmp_path / "outside.png").write_bytes(b"")
    write_document(pictures / "pictures.json", {"pictures": ["old.png", "../outside.png", 3]})
    write_page(whole.paths.root.parent, out=tmp_path)
    assert not (pictures / "old.png").exists()
    assert (pictures / "mine.png").exists()
    assert (tmp_path / "outside.png").exists()


def test_several_studies_have_a_folder_each(ran: Runner, tmp_path: Path) -> None:
    small: dict[str, Any] = {"phases": [{"name": "one", "grid": {"train.value": [0.2]}}]}
    ran(**small)
    outcome = ran(name="another", **small)
    results = outcome.paths.root.parent
    found = write_page(results, formats=["tex"], out=tmp_path / "out")
    below = [path.relative_to(tmp_path).as_posix() for path in found]
    assert below == ["out/another/report.tex", "out/scripted/report.tex"]
    (alone,) = write_page(results, "another", formats=["tex"], out=tmp_path / "alone")
    assert alone == tmp_path / "alone" / "report.tex"


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (
            ["htm"],
            "there is no report format 'htm'; did you mean 'html'?; give some of html,md,tex",
        ),
        (["pdf"], "there is no report format 'pdf'"),
        ([], "a report needs a format; give some of html,md,tex"),
    ],
)
def test_an_unknown_format_is_a_sentence(
    whole: StudyOutcome, tmp_path: Path, formats: list[str], message: str
) -> None:
    with pytest.raises(PhasetuneError, match=re.escape(message)):
        write_page(whole.paths.root.parent, formats=formats, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_no_study_is_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        write_page(tmp_path)
    assert not list(tmp_path.iterdir())
