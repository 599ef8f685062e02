"""The sections on where a result comes from: what was shared, settings, provenance; no secrets."""

from pathlib import Path

import pytest

from phasetune import StudyOutcome
from phasetune.report.page.content import StudyContent
from report.conftest import Runner
from report.page.pages import content_of, one_phase, tables, texts

NO_FINAL = {"refit": False, "test": False}


@pytest.fixture(scope="module")
def content(whole: StudyOutcome) -> StudyContent:
    return content_of(whole.paths)


def test_sharing_is_counted_per_trial(content: StudyContent) -> None:
    (table,) = tables(content, "computing")
    rows = {row.cells[0]: row.cells[1:5] for row in table.rows}
    assert rows["prepare"] == ("11", "2", "2", "0")
    assert rows["test"] == ("1", "1", "1", "0")
    assert "of them were executed by this study. That took" in texts(content, "computing")


def test_what_another_study_computed_is_said_to_be_taken(ran: Runner) -> None:
    phases = one_phase({"train.value": 0.6}, {"train.value": 0.1})
    ran(phases=phases, final=NO_FINAL)
    again = ran(name="another", phases=phases, final=NO_FINAL)
    assert "0 of them were executed by this study, 3 taken from other studies" in texts(
        content_of(again.paths), "computing"
    )


def test_settings_say_where_each_comes_from(content: StudyContent) -> None:
    told, defaults = tables(content, "settings")
    assert told.rows[0].cells == ("prepare.value", "0.5", "chosen in phase preparation")
    assert ("test.value", "0.25", "given in the study") in [row.cells for row in told.rows]
    assert {row.cells[2] for row in defaults.rows} == {"default"}
    assert defaults.folded == f"{len(defaults.rows)} more settings at their defaults"


def test_provenance_names_data_code_and_commands(content: StudyContent) -> None:
    said = texts(content, "provenance")
    for words in ("Seed: 11", "train: train:v1", "Code fingerprint: ", "Hosts: ", "device cpu"):
        assert words in said
    (commands,) = tables(content, "provenance")
    assert commands.rows[0].cells[3] == "in-process"


@pytest.mark.parametrize(
    "provenance",
    [
        "no JSON",
        "[]",
        '{"invocations": 3}',
        '{"invocations": [3, {"software": 1, "data": [], "command": 2, "started": "x", "git": 0}]}',
    ],
)
def test_a_damaged_provenance_takes_no_report_away(
    ran: Runner, tmp_path: Path, provenance: str
) -> None:
    outcome = ran(phases=one_phase({"train.value": 0.5}), final=NO_FINAL)
    outcome.paths.provenance.write_text(provenance)
    assert "Seed: 11" in texts(content_of(outcome.paths), "provenance")


def test_secrets_are_nowhere_in_it(ran: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["phasetune", "run", "--api-key", "hunter2hunter2"])
    phases = one_phase({"train.value": 0.5, "note": "password=hunter2hunter2"})
    outcome = ran(description="see http://me:hunter2hunter2@there", phases=phases, final=NO_FINAL)
    said = repr(content_of(outcome.paths))
    assert "hunter2" not in said
    assert "***" in said
