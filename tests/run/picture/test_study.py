"""Where a study stands, folded from its events."""

import math
from typing import Any, Literal

import pytest

from happenings import (
    STARTED,
    Told,
    begins,
    decided,
    done,
    fails,
    judged,
    phase,
    picture,
    starts,
    wave,
)
from phasetune.run.events import BackendStarting, Event, FinalDone, Noticed, StudyEnded


def test_trials_are_counted_as_they_stand() -> None:
    found = picture(
        *STARTED,
        (3, judged("a", 0.5, is_reused=True)),
        (4, judged("b", 0.7, "infeasible")),
        (5, judged("c", None, "ineligible")),
        (6, judged("baseline", 0.9, is_candidate=False)),
        (7, judged("b", 0.7, "infeasible")),
    ).phase
    assert found is not None
    counts = [found.standing(name) for name in ("feasible", "infeasible", "ineligible")]
    assert (counts, found.reused, len(found.candidates)) == ([1, 1, 1], 1, 3)


@pytest.mark.parametrize(
    ("mode", "feasible", "overall"), [("max", "b", "d"), ("min", "a", "c")], ids=["max", "min"]
)
def test_the_best_feasible_trial_stands_beside_the_best_of_all(
    mode: Literal["max", "min"], feasible: str, overall: str
) -> None:
    found = picture(
        (0, begins(mode=mode)),
        *STARTED[1:],
        (3, judged("a", 0.4)),
        (3, judged("b", 0.6)),
        (3, judged("tied", 0.6)),
        (3, judged("c", 0.1, "infeasible")),
        (3, judged("d", 0.9, "infeasible")),
        (3, judged("nan", math.nan, "ineligible")),
        (3, judged("baseline", 2.0 if mode == "max" else -2.0, is_candidate=False)),
    ).phase
    assert found is not None
    best = [found.best("score", mode=mode, is_feasible=only) for only in (True, False)]
    assert [trial and trial.trial for trial in best] == [feasible, overall]


def test_without_a_judged_trial_there_is_no_best() -> None:
    found = picture(*STARTED).phase
    assert found is not None
    assert found.best("score", mode="max", is_feasible=False) is None


def test_runs_are_counted_and_leave_when_they_end() -> None:
    found = picture(*STARTED, (3, starts("a")), (3, starts("b")), (4, done("a")), (5, fails("b")))
    assert found.phase is not None
    assert (found.phase.ended, found.phase.failed, found.phase.missing) == (2, 1, 4)
    assert (dict(found.running), found.most_running) == ({}, 2)
    assert [failed.label for failed in found.failures] == ["b"]


@pytest.mark.parametrize(
    "event", [begins(goes_on=True), wave()], ids=["another command", "another wave"]
)
def test_what_a_killed_command_ran_is_forgotten(event: Event) -> None:
    assert not picture(*STARTED, (3, starts("a")), (9, event)).running


def test_another_command_starts_anew_but_remembers_how_long_things_take() -> None:
    first: Told = [(3, starts("a")), (13, done("a")), (14, judged("a", 0.5)), (15, fails("b"))]
    again: Told = [(100, begins(goes_on=True)), (101, phase(fit=3)), (102, wave(runs=3))]
    found = picture(*STARTED, *first, *again, (102, starts("c")))
    assert found.started_at == 100
    assert not found.failures
    assert found.phase is not None
    assert (found.phase.ended, len(found.phase.candidates)) == (0, 0)
    assert found.seconds_left_of_phase(102) == pytest.approx(30)


def test_decisions_stand_until_an_earlier_phase_runs_again() -> None:
    both: Told = [(9, decided()), (10, phase("two", fit=1)), (12, decided("two"))]
    found = picture(*STARTED, *both)
    assert list(found.decisions) == ["one", "two"]
    again: Told = [(20, begins(goes_on=True)), (21, phase())]
    assert list(picture(*STARTED, *both, *again).decisions) == ["two"]
    changed: Told = [(20, begins(goes_on=True)), (21, phase(fit=1))]
    assert list(picture(*STARTED, *both, *changed).decisions) == []


def test_the_final_has_no_plan_so_its_waves_are_what_is_known() -> None:
    told: Told = [(9, decided()), (10, wave("final", 1)), (10, starts("r")), (20, done("r"))]
    found = picture(*STARTED, *told)
    assert (found.current, found.phase and found.phase.missing) == ("final", 1)
    following: Told = [(20, wave("final", 1)), (20, starts("t", stage="test"))]
    found = picture(*STARTED, *told, *following)
    assert found.phase is not None
    assert (found.phase.ended, found.phase.missing) == (1, 2)
    assert found.seconds_left_of_phase(21) is None


def test_resources_are_kept_as_their_most_and_their_mean() -> None:
    found = picture(
        *STARTED,
        (3, done("a", resources={"peak_memory_gib": 1.0})),
        (4, done("b", resources={"peak_memory_gib": 3.0})),
    ).resources["peak_memory_gib"]
    assert (found.most, found.mean) == (3.0, 2.0)


def test_how_it_ended_is_known() -> None:
    final = FinalDone(state="done", reason=None, test={"score": 0.5})
    end = StudyEnded(outcome="interrupted", message="SIGINT")
    found = picture(*STARTED, (3, starts("a")), (4, final), (5, Noticed(message="n")), (6, end))
    assert (found.final, found.ended, found.notices, found.last_at) == (final, end, ("n",), 6)
    assert found.seconds_left_of_study(7) is None


def test_a_backend_that_starts_is_known_until_a_wave_does() -> None:
    starting = picture(STARTED[0], STARTED[1], (2, BackendStarting(backend="ray")))
    assert (starting.is_starting, starting.backend) == (True, "ray")
    assert not starting.take(3, wave()).is_starting


def test_a_picture_is_not_changed_by_what_comes_later() -> None:
    before = picture(*STARTED, (3, starts("a")))
    after: Any = before.take(4, done("a"))
    assert (list(before.running), list(after.running)) == (["a"], [])


def test_a_trial_run_alone_belongs_to_a_phase_that_was_not_planned() -> None:
    found = picture((0, begins()), (1, wave(runs=2)), (2, judged("a", 0.5)))
    assert found.phase is not None
    assert (found.phase.trials, found.phase.missing, len(found.phase.judged)) == (None, 2, 1)
