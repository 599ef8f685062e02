"""How trials are told to stand while their phase runs is how the decision says they stand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune import StudyOutcome, run_study
from phasetune.run.events import PhaseDecided, RunDone, TrialJudged

Runner = Callable[..., StudyOutcome]

VALUE = {"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4]}}


@pytest.fixture
def run(scripted_study: StudyMaker, tmp_path: Path, heard: Heard) -> Runner:
    def go(**changes: Any) -> StudyOutcome:
        small = {"phases": [VALUE], "final": {"refit": False, "test": False}}
        study = scripted_study(**{**small, **changes})
        return run_study(study, results=tmp_path, in_process=True, listener=heard)

    return go


def judged(heard: Heard) -> dict[str, TrialJudged]:
    found = {event.trial: event for event in heard.of(TrialJudged)}
    assert len(found) == len(heard.of(TrialJudged))
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"constraints": ["score >= 0.3"]},
        {"constraints": ["score >= 0.9 * baseline"], "baseline": {"train.value": 0.5}},
        {"constraints": ["score >= 0.9 * baseline"], "baseline": {"train.value": 0.4}},
        {"replicates": {"seeds": 2}, "params": {"train": {"noise": 0.3}}},
        {"params": {"train": {"fault": "raise"}}},
        {
            "phases": [
                {
                    "name": "value",
                    "points": [{"train.fault": f} for f in ("nan", "missing", "none")],
                }
            ]
        },
    ],
    ids=["all", "bound", "extra baseline", "baseline point", "replicates", "failed", "odd scores"],
)
def test_each_trial_is_told_once_as_it_is_decided(
    run: Runner, heard: Heard, changes: dict[str, Any]
) -> None:
    (decision,) = run(**changes).decisions.values()
    assert {name: (e.standing, e.reason, e.is_candidate) for name, e in judged(heard).items()} == {
        trial["name"]: (trial["standing"], trial["reason"], trial["candidate"])
        for trial in decision["trials"]
    }


def test_a_trial_is_told_as_soon_as_its_last_run_has_an_end(run: Runner, heard: Heard) -> None:
    run()
    kinds = [e for e in heard.events if isinstance(e, TrialJudged | PhaseDecided | RunDone)]
    named = [type(event).__name__ for event in kinds]
    assert named == ["RunDone", *["RunDone", "TrialJudged"] * 3, "PhaseDecided"]


def test_metrics_are_those_that_a_decision_is_about(run: Runner, heard: Heard) -> None:
    run()
    assert judged(heard)["value-value=0.6"].metrics == {"score": 0.6, "other": 1.0}


def test_trials_of_before_are_told_with_the_first_wave_as_reused(run: Runner, heard: Heard) -> None:
    run()
    heard.events.clear()
    run(phases=[{"name": "value", "grid": {"train.value": [0.2, 0.6, 0.8]}}])
    reused = {name: event.is_reused for name, event in judged(heard).items()}
    assert reused == {"value-value=0.2": True, "value-value=0.6": True, "value-value=0.8": False}


def test_a_phase_that_is_done_tells_of_no_trial(run: Runner, heard: Heard) -> None:
    run()
    heard.events.clear()
    run()
    assert heard.of(TrialJudged) == []
