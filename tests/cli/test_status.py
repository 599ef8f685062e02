"""What `status` says of studies from their files, whoever drives them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Said, StudyWriter, phasetune
from happenings import BUSY
from phasetune.run.events import Event, StudyEnded
from phasetune.run.journal import entry_of
from phasetune.store.lines import LinesWriter
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, StudyPaths
from test_import_weight import HEAVY, IMPORT

ONE: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
TWO = [*ONE, {"name": "two", "grid": {"train.steps": [3, 4]}}]
HERE = Owner.of_this_process()
OWNERS = {
    "alive": HERE,
    "gone": replace(HERE, started_ticks=HERE.started_ticks + 1),
    "elsewhere": replace(HERE, boot="another", host="node7"),
}


@pytest.fixture
def begun(written: StudyWriter, folder: Path) -> StudyPaths:
    """A study without decisions, whose journal tells of a busy phase."""
    written(file="results/scripted/study.yaml")
    paths = ResultsPaths(folder / "results").study("scripted")
    tell(paths, *BUSY)
    return paths


def tell(paths: StudyPaths, *told: tuple[float, Event]) -> None:
    writer, now = LinesWriter(paths.events), time.time()
    writer.append(entry_of(event, at=now - 60 + at) for at, event in told)
    writer.close()


def status(*arguments: str, columns: int = 100) -> Said:
    return phasetune("status", "results", *arguments, columns=columns)


@pytest.mark.parametrize(
    ("owner", "state", "words"),
    [
        ("alive", "running", f"driver pid {os.getpid()} on {HERE.host}"),
        ("gone", "interrupted", "is gone the same command goes on from what is stored"),
        ("elsewhere", "perhaps running", "on node7, since"),
        (None, "interrupted", "the same command goes on from what is stored"),
    ],
    ids=["alive", "gone", "elsewhere", "nobody"],
)
def test_who_drives_a_study_is_told(
    owner: str | None, state: str, words: str, begun: StudyPaths
) -> None:
    begun.driver_lock.write_bytes(b"" if owner is None else OWNERS[owner].content)
    before = begun.driver_lock.read_bytes()
    said = status()
    assert said.code == 0
    assert f"state {state}, last heard of 5" in said.words
    assert words in said.words
    assert ("fit width=8" in said.words) is (state != "interrupted")
    assert begun.driver_lock.read_bytes() == before


def test_it_is_the_picture_that_a_driver_shows(begun: StudyPaths) -> None:
    begun.driver_lock.write_bytes(OWNERS["alive"].content)
    said = status()
    assert "toy phase 1 of 2 one" in said.words
    assert "2 of 4 1 feasible, 1 infeasible (1 reused)" in said.words
    assert "best reused score 0.5000" in said.words
    assert "running step val_loss val_score left fit width=8 1/10 0.25 0.75 0 s" in said.words
    assert "a run takes up to 1.5 GiB; disk" in said.words
    assert "FAILED d: ValueError: no" in said.words


@pytest.mark.parametrize("outcome", ["interrupted", "refused"])
def test_how_the_last_command_ended_is_told(outcome: Any, begun: StudyPaths) -> None:
    tell(begun, (9, StudyEnded(outcome=outcome, message="SIGTERM")))
    said = status()
    assert f"state {outcome}, last heard of 5" in said.words
    assert "SIGTERM" in said.words


def test_a_study_that_is_done_is_a_line_and_its_decision(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE), "--in-process")
    lines = status(columns=200).out.splitlines()
    assert lines[0].startswith("scripted  done, ")
    assert lines[1].strip().startswith("one: one-value=0.6 wins: best score 0.6000")
    assert len(lines) == 2


def test_without_a_journal_the_decisions_tell(written: StudyWriter, folder: Path) -> None:
    for name, phases, arguments in (("whole", ONE, []), ("part", TWO, ["--phase", "one"])):
        phasetune("run", written(name=name, phases=phases), "--in-process", *arguments)
        ResultsPaths(folder / "results").study(name).events.unlink()
    lines = status(columns=200).out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "part  not complete",
        "whole  done",
    ]
    assert sum("one-value=0.6 wins" in line for line in lines) == 2
    assert [line for line in status("--study", "part").out.splitlines() if "whole" in line] == []


def test_a_damaged_journal_is_read_as_far_as_it_goes(begun: StudyPaths) -> None:
    with begun.events.open("a") as file:
        file.write('{"time": 1, "event": "run_done"}\nno json\n[]\n{"time": "x", "event": 3}\n{"ti')
    assert "2 of 4" in status().words


def test_as_json(begun: StudyPaths) -> None:
    begun.driver_lock.write_bytes(OWNERS["elsewhere"].content)
    document = json.loads(status("--json").out)
    (study,) = document["studies"]
    assert (document["schema"], study["study"], study["state"]) == (
        1,
        "scripted",
        "perhaps running",
    )
    assert study["driver"] == {
        "pid": HERE.pid,
        "host": "node7",
        "since": HERE.since,
        "command": HERE.command,
        "is_alive": None,
        "renewed_at": None,
    }
    counts = ("trials", "trials_ended", "feasible", "infeasible", "ineligible", "runs_failed")
    assert [study["phase"][name] for name in counts] == [4, 2, 1, 1, 0, 1]
    assert study["phase"]["best_overall"]["trial"] == "c"
    assert [(run["label"], run["step"], run["steps"]) for run in study["running"]] == [
        ("fit width=8", 1, 10),
        ("fit width=16", None, None),
    ]
    assert study["resources"] == {"peak_memory_gib": {"mean": 1.5, "most": 1.5}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere holds no study"),
        (["file"], "results must be a folder, but"),
        (["results", "--study", "other"], "holds no study 'other'; it holds: scripted"),
        (["results", "--watch", "--json"], "--watch and --json exclude each other"),
    ],
    ids=["no results", "a file", "no such study", "both"],
)
def test_what_is_not_there_is_one_sentence(
    arguments: list[str], words: str, begun: StudyPaths, folder: Path
) -> None:
    (folder / "file").touch()
    said = phasetune("status", *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert words in said.err


def test_nothing_is_written_and_no_lock_is_made(begun: StudyPaths) -> None:
    before = {path: path.stat().st_mtime_ns for path in begun.root.parent.rglob("*")}
    status()
    assert {path: path.stat().st_mtime_ns for path in begun.root.parent.rglob("*")} == before


def test_watching_a_study_that_nobody_drives_is_one_look(begun: StudyPaths) -> None:
    assert status("--watch").words.count("state interrupted") == 1


@pytest.mark.parametrize("ends_by", ["the study", "Ctrl-C"])
def test_watching_ends_with_the_study_or_by_ctrl_c(ends_by: str, begun: StudyPaths) -> None:
    begun.driver_lock.write_bytes(OWNERS["elsewhere"].content)
    watching = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "status", str(begun.root.parent), "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("toy")
    while not watching.stdout.readline().startswith("driver"):
        pass
    if ends_by == "the study":
        tell(begun, (58, BUSY[-1][1]), (59, StudyEnded(outcome="done")))
    else:
        watching.send_signal(signal.SIGINT)
    out, err = watching.communicate()
    assert (watching.returncode, err) == (0, "")
    assert ("FAILED  3/4 d: ValueError: no" in out) is (ends_by == "the study")


def test_it_starts_without_anything_heavy() -> None:
    for module in (
        "phasetune.cli.main",
        "phasetune.cli.display.standing",
        "phasetune.cli.display.standing_json",
    ):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT, module], capture_output=True, text=True, check=True
        )
        assert not set(json.loads(done.stdout)) & HEAVY
