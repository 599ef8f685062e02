"""Two drivers of one study: the second is told of the first, and follows it when it is dead."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import StoreError, Study, StudyOutcome, run_study
from phasetune.api import checkpoints, execute, plan_study, run_trial, runs, trials
from phasetune.report.write import write_report
from phasetune.run.events import Noticed, PhaseDecided
from stored import Does, cut_off, finished

DRIVER = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from phasetune import Study, run_study
from phasetune.run.events import RunDone
from stored import Does

def wait():
    print("computes", flush=True)
    sys.stdin.readline()

study = Study.model_validate_json(sys.argv[2])
run_study(study, results=sys.argv[1], in_process=True, listener=Does(RunDone, wait))
"""
GONE = "the driver before (pid "


@pytest.fixture
def study(scripted_study: StudyMaker) -> Study:
    """One phase of three trials: six runs, with the final refit and test."""
    return short(scripted_study)


def short(make: StudyMaker, **changes: Any) -> Study:
    phases = [{"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4]}}]
    return make(phases=phases, **changes)


@contextmanager
def driver(study: Study, results: Path) -> "Iterator[subprocess.Popen[str]]":
    """Another process that runs the study; it waits for a line after each of its runs."""
    content = study.model_dump_json(exclude_unset=True)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(results), content],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "computes\n"


def go_on(process: "subprocess.Popen[str]", runs: int) -> None:
    assert process.stdin is not None
    for _ in range(runs):
        process.stdin.write("\n")
        process.stdin.flush()
        wait_for(process)


def follows(study: Study, results: Path, heard: Heard) -> StudyOutcome:
    return run_study(study, results=results, in_process=True, listener=heard)


def of_drivers_before(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed) if event.message.startswith(GONE)]


def test_a_second_driver_is_refused_and_changes_nothing(
    study: Study, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    with driver(study, tmp_path) as first:
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        message = f"another driver works on {tmp_path / 'scripted'}: pid {first.pid} on .*; wait "
        with pytest.raises(StoreError, match=message):
            finished(short(scripted_study, seed=12), tmp_path)
        with pytest.raises(StoreError, match=message):
            run_trial(study, "value-value=0.2", results=tmp_path, in_process=True)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        first.communicate("\n" * 20)
        assert first.returncode == 0
    assert finished(study, tmp_path).result.account.executed == []


def test_a_killed_driver_is_followed_by_one_that_says_so_and_loses_nothing(
    study: Study, tmp_path: Path, heard: Heard
) -> None:
    whole = finished(study, tmp_path / "whole")
    with driver(study, tmp_path / "cut") as first:
        go_on(first, runs=2)
        first.send_signal(signal.SIGKILL)
        first.wait()
    outcome = follows(study, tmp_path / "cut", heard)
    (told,) = of_drivers_before(heard)
    assert re.fullmatch(
        rf"the driver before \(pid {first.pid} on \S+, since \S+ \S+ UTC, `-c .*`\) is gone; "
        "going on from what it left",
        told,
    )
    assert len(outcome.result.account.executed) + 3 == len(whole.result.account.executed)
    assert outcome.paths.report.read_bytes() == whole.paths.report.read_bytes()


def test_after_an_end_in_order_no_driver_is_said_to_be_gone(
    study: Study, tmp_path: Path, heard: Heard
) -> None:
    cut_off(study, tmp_path, after=5)
    follows(study, tmp_path, heard)
    follows(study, tmp_path, heard)
    assert of_drivers_before(heard) == []


def test_whoever_reads_needs_no_lock(study: Study, tmp_path: Path) -> None:
    finished(study, tmp_path)

    def reads() -> int:
        plan_study(study, results=tmp_path)
        return sum(len(view(tmp_path)) for view in (trials, runs, checkpoints))

    there = Does(PhaseDecided, reads)
    run_study(study, results=tmp_path, in_process=True, listener=there)
    assert len(there.results) == 1
    assert there.results[0] > 0


def test_the_study_is_held_until_its_report_is_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = list[str]()

    def second_comes(*arguments: Any, **options: Any) -> Any:
        with pytest.raises(StoreError) as error:
            finished(study, tmp_path)
        refused.append(str(error.value))
        return write_report(*arguments, **options)

    monkeypatch.setattr(execute, "write_report", second_comes)
    finished(study, tmp_path)
    assert len(refused) == 1
    assert refused[0].startswith(f"another driver works on {tmp_path / 'scripted'}: pid ")


def test_another_study_of_the_root_runs_meanwhile(
    study: Study, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    other = short(scripted_study, name="other", seed=12)
    meanwhile = Does(PhaseDecided, lambda: finished(other, tmp_path).exit_code)
    run_study(study, results=tmp_path, in_process=True, listener=meanwhile)
    assert meanwhile.results == [0]
