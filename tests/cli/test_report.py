"""`phasetune report`: what is written where, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from cli.conftest import StudyWriter, phasetune

ONE: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


@pytest.fixture
def results(written: StudyWriter, folder: Path) -> Path:
    """A results root with a finished study."""
    assert phasetune("run", written(phases=ONE), "--in-process").code == 0
    return folder / "results"


def test_the_page_lies_in_the_study_s_folder(results: Path) -> None:
    said = phasetune("report", results, columns=400)
    page = results / "scripted" / "report.html"
    assert (said.code, said.out.strip()) == (0, str(page.resolve()))
    assert "one-value=0.6 wins" in page.read_text().replace('<span class="name">', "").replace(
        "</span>", ""
    )


def test_formats_are_given_with_commas(results: Path, folder: Path) -> None:
    out = folder / "out"
    said = phasetune("report", results, "--format", "md, tex,md", "-o", out, columns=400)
    assert [Path(line).name for line in said.out.splitlines()] == ["report.md", "report.tex"]
    assert not (out / "report.html").exists()
    assert list((out / "figures").glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "pfd"), "there is no report format 'pfd'"),
        (("--run", "one-value=0.6", "--format", "md"), "--format is for the report of a study"),
        (("--format", ","), "a report needs a format; give some of html,md,tex"),
        (("--study", "other"), "holds no study 'other'; it holds: scripted"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    results: Path, arguments: tuple[str, ...], message: str
) -> None:
    said = phasetune("report", results, *arguments)
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert "Traceback" not in said.err


def test_a_place_that_is_a_file_is_a_sentence(results: Path, folder: Path) -> None:
    (folder / "taken").write_text("")
    said = phasetune("report", results, "-o", folder / "taken")
    assert said.code == 2
    assert "can't be written" in said.err


def test_the_training_of_one_run_is_reported_instead(results: Path, folder: Path) -> None:
    said = phasetune("report", results, "--run", "one-value=0.6", "-o", folder / "run", columns=400)
    assert said.code == 0
    place = Path(said.out.strip())
    assert place.exists()
    assert folder.resolve() in place.parents
    assert not (results / "scripted" / "report.html").exists()


def test_a_run_of_several_studies_needs_a_study(results: Path, written: StudyWriter) -> None:
    phasetune("run", written(file="b.yaml", name="another", phases=ONE), "--in-process")
    said = phasetune("report", results, "--run", "one-value=0.6")
    assert said.code == 2
    assert "choose one with --study: another, scripted" in " ".join(said.err.split())
