"""The page that `phasetune run` makes at its end."""

from pathlib import Path

import pytest

from cli.conftest import StudyWriter, phasetune
from phasetune.report.page import write
from phasetune.store.lines import LinesReader

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


@pytest.fixture
def page(written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is to be, of a study that was run without one."""
    monkeypatch.delenv("PHASETUNE_PAGE")
    assert phasetune("run", written(phases=ONE), "--in-process", "--no-page").code == 0
    found = folder / "results/scripted/report.html"
    assert not found.exists()
    return found


def test_the_same_command_makes_what_is_not_there(page: Path) -> None:
    said = phasetune("run", "study.yaml", "--in-process")
    assert "Nothing to do" in said.out
    assert "Look at it      results/scripted/report.html" in said.out
    assert "one-value=0.6" in page.read_text()


def test_it_is_made_again_when_it_would_say_something_else(
    page: Path, written: StudyWriter
) -> None:
    phasetune("run", "study.yaml", "--in-process")
    before = page.stat().st_mtime_ns
    assert "drawing" not in phasetune("run", "study.yaml", "--in-process").out
    assert page.stat().st_mtime_ns == before
    more = [{"name": "one", "grid": {"train.value": [0.2, 0.6, 0.8]}}]
    phasetune("run", written(phases=more), "--in-process")
    assert "one-value=0.8" in page.read_text()


def test_an_older_one_goes_before_the_report_says_something_else(
    page: Path, written: StudyWriter
) -> None:
    phasetune("run", "study.yaml", "--in-process")
    again = written(phases=ONE, objective={"metric": "score", "mode": "min"})
    phasetune("run", again, "--in-process", "--no-page")
    assert not page.exists()


def test_one_that_can_not_be_made_takes_no_study_down(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no colour is left")

    monkeypatch.setattr(write, "write_study_page", broken)
    said = phasetune("run", "study.yaml", "--in-process")
    assert said.code == 0
    assert "the report could not be drawn: ValueError: no colour is left" in said.words
    assert "one-value=0.6 wins" in said.words
    assert not page.exists()


def test_a_fault_of_ours_flies_and_is_told_as_the_end(
    written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("phasetune.api.execute.write_report", broken)
    with pytest.raises(ZeroDivisionError):
        phasetune("run", written(phases=ONE), "--in-process")
    events = list(LinesReader(folder / "results/scripted/logs/events.jsonl").new())
    assert events[-1]["event"] == "study_ended"
    assert events[-1]["message"] == "ZeroDivisionError: a fault of ours"
