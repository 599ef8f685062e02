"""What is said while a study runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import StudyWriter, phasetune
from happenings import STARTED, begins, done, fails
from phasetune.cli.display.progress import Counts, Narrative
from phasetune.run.events import Noticed, RunFailed

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def test_a_new_study_goes_on_and_then_has_nothing_to_do(written: StudyWriter) -> None:
    study = written()
    first = phasetune("run", study, "--in-process", "--phase", "value")
    assert first.out.splitlines()[0] == "study scripted is new; results in results/scripted"
    again = phasetune("run", study, "--in-process")
    goes_on = "study scripted goes on: what is stored is not run again; results in results/scripted"
    assert goes_on in again.out.splitlines()
    assert "phase 1/3 value: 3 trials; prepare 1 for 3, train 3; all stored" in again.out
    done = phasetune("run", study, "--in-process")
    assert "goes on" not in done.out
    assert "is new" not in done.out
    assert "Nothing to do: all 9 runs are stored; decisions stand." in done.words


def test_going_on_with_the_final_alone_is_said(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE, final={"refit": False, "test": False}), "--in-process")
    said = phasetune("run", written(phases=ONE), "--in-process")
    assert "study scripted goes on" in said.words
    assert "Executed 2 of 5 distinct runs" in said.words


def test_each_run_is_a_line(written: StudyWriter) -> None:
    lines = phasetune("run", written(phases=ONE), "--in-process").out.splitlines()
    assert lines[1] == "phase 1/1 one: 2 trials; prepare 1 for 2, train 2; 3 to execute"
    starts = [line.rpartition("  score ")[0].rpartition("  ")[0] for line in lines[2:5]]
    assert starts == [
        "done    1/3 prepare",
        "done    2/3 train value=0.2 fold 1/5",
        "done    3/3 train value=0.6 fold 1/5",
    ]
    assert lines[4].endswith("score 0.6000")
    assert lines[5].startswith("phase one: one-value=0.6 wins: best score 0.6000")
    assert lines[6].startswith("done    1/1 train  ")
    assert lines[7].startswith("done    2/2 test  ")


def test_lines_are_not_wrapped(written: StudyWriter) -> None:
    said = phasetune("run", written(phases=ONE), "--in-process", columns=30)
    assert "phase 1/1 one: 2 trials; prepare 1 for 2, train 2; 3 to execute\n" in said.out


def test_a_failed_run_is_a_line(written: StudyWriter) -> None:
    points = [{"train.fault": "raise"}, {"train.value": 0.6}]
    said = phasetune("run", written(phases=[{"name": "one", "points": points}]), "--in-process")
    assert (
        "FAILED  2/3 train fault=raise fold 1/5: ValueError: scripted failure at step 1" in said.out
    )


def test_a_decision_made_again_is_said(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE), "--in-process")
    study = written(phases=ONE, objective={"metric": "score", "mode": "min"})
    said = phasetune("run", study, "--in-process")
    assert "(decided again: what it was decided from has changed)" in said.out
    assert "changed since the last run: objective.mode: unset -> min" in said.out


def test_the_last_lines_of_a_failed_run_stand_below_it() -> None:
    narrative, failed = Narrative("results/toy"), fails("fit")
    for _, event in STARTED:
        narrative.lines(event)
    told = RunFailed(**{**vars(failed), "tail": ("loading", "\x1b[2Jno such file\tx")})
    assert narrative.lines(told) == [
        "FAILED  1/4 fit: ValueError: no",
        "    loading",
        "    ?[2Jno such file    x",
    ]


def test_secrets_are_not_said() -> None:
    said = Narrative("toy").lines(Noticed(message="at http://me:hunter2@host/"))
    assert said == ["at http://me:***@host/"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_the_closing_words_need_is_counted(goes_on: bool) -> None:
    counts = Counts()
    for event in (begins(goes_on=goes_on), done("a"), fails("b")):
        counts.notify(event)
    assert (counts.num_ended, counts.has_decided_anew) == (2, not goes_on)


def test_machines_are_told_what_the_journal_keeps(written: StudyWriter, folder: Path) -> None:
    said = phasetune("run", written(phases=ONE), "--in-process", "--log-format", "json")
    assert said.code == 0
    journal = (folder / "results/scripted/logs/events.jsonl").read_text()
    told, kept = ([_untimed(line) for line in text.splitlines()] for text in (said.out, journal))
    assert told == kept
    assert told[0]["event"] == "study_started"
    assert told[-1] == {"event": "study_ended", "outcome": "done", "message": ""}
    assert "Executed 5 of 5 distinct runs" in " ".join(said.err.split())


def _untimed(line: str) -> dict[str, object]:
    entry: dict[str, object] = json.loads(line)
    assert isinstance(entry.pop("time"), float)
    return entry


@pytest.mark.parametrize("log_format", ["plain", "json"])
def test_a_reader_that_leaves_ends_no_study(
    log_format: str, written: StudyWriter, folder: Path
) -> None:
    study, told_as = written(phases=ONE), ["--log-format", log_format]
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "run", study, "--in-process", *told_as],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait()
    assert (folder / "results/scripted/report.json").exists()


def test_a_letter_that_the_output_lacks_ends_no_study(written: StudyWriter, folder: Path) -> None:
    study = written(phases=ONE, replicates={"folds": 2})
    done = subprocess.run(
        [sys.executable, "-m", "phasetune", "run", study, "--in-process"],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"wins: best score 0.6000 ? 0.0000" in done.stdout
