"""The clock goes back an hour and forward ten years between two commands, and within one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import time_machine

from conftest import StudyMaker
from phasetune.api import run_study
from phasetune.run.events import RunReported
from stored import Does
from torture.crashing import CRASHED, Fault, in_child, left_by, ran, steps

HOURS_BACK = timedelta(hours=-1)
YEARS_ON = timedelta(days=3653)


def at(shift: timedelta, work: Callable[[], int]) -> int:
    """What the work comes to when the clock is wrong."""
    with time_machine.travel(datetime.now(UTC) + shift, tick=True):
        return work()


@pytest.mark.parametrize("shifts", [(HOURS_BACK, YEARS_ON), (YEARS_ON, HOURS_BACK)])
def test_each_command_has_another_clock(
    shifts: tuple[timedelta, timedelta], tmp_path: Path, scripted_study: StudyMaker
) -> None:
    study = scripted_study()
    assert ran(study, tmp_path / "undisturbed") == 0
    results = tmp_path / "results"
    for number, shift in enumerate(shifts):
        fault = Fault(kind="before", number=20 + 15 * number)
        assert at(shift, partial(ran, study, results, fault)) == CRASHED
    assert ran(study, results) == 0
    assert left_by(study, results) == left_by(study, tmp_path / "undisturbed")
    assert len(steps(results)) <= len(steps(tmp_path / "undisturbed")) + len(shifts)


def test_the_clock_jumps_while_a_study_runs(tmp_path: Path, scripted_study: StudyMaker) -> None:
    study = scripted_study()
    assert ran(study, tmp_path / "undisturbed") == 0

    def run() -> int:
        shifts = iter([HOURS_BACK, YEARS_ON] * 1000)
        with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
            jumps = Does(RunReported, lambda: traveller.shift(next(shifts)))
            done = run_study(study, results=tmp_path / "results", in_process=True, listener=jumps)
        return done.exit_code

    assert in_child(run) == 0
    assert left_by(study, tmp_path / "results") == left_by(study, tmp_path / "undisturbed")
    documents = [
        json.loads(path.read_text())
        for path in (tmp_path / "results").glob("scripted/trials/*/results.json")
    ]
    runs = [run for found in documents for each in found["replicates"] for run in each["runs"]]
    assert runs
    assert all(0 <= run["seconds"] < 60 for run in runs)
