"""How long a trial takes alone, whatever it shared."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from phasetune import StudyOutcome
from phasetune.report.frames import trials_frame
from phasetune.report.times import mean_minutes, minutes
from phasetune.store.artifacts import Artifact
from report.conftest import Runner


def took(seconds: float) -> Artifact:
    return Artifact(folder=Path(), manifest={"provenance": {"duration_seconds": seconds}})


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([("fit", took(90))], {"fit_time_min": 1.5, "total_time_min": 1.5}),
        (
            [("pretrain", took(60)), ("finetune", took(30))],
            {"pretrain_time_min": 1.0, "finetune_time_min": 0.5, "total_time_min": 1.5},
        ),
        ([("pretrain", took(60)), ("finetune", None)], {"pretrain_time_min": 1.0}),
        ([("pretrain", None), ("finetune", None)], {}),
    ],
    ids=["one", "two", "unfinished", "nothing"],
)
def test_minutes_of_each_stage_and_of_all_where_all_are_done(
    chain: list[tuple[str, Artifact | None]], expected: dict[str, float]
) -> None:
    assert minutes(chain) == expected


@pytest.mark.parametrize(
    ("replicates", "expected"),
    [
        ([{"fit": 1.0}], {"fit": 1.0}),
        ([{"fit": 1.0, "total": 2.0}, {"fit": 4.0, "total": 3.0}], {"fit": 2.5, "total": 2.5}),
        ([{"fit": 1.0, "total": 2.0}, {"fit": 4.0}], {"fit": 2.5}),
        ([{"fit": 1.0}, {"fit": 4.0, "total": 5.0}], {"fit": 2.5}),
        ([{"fit": 1.0}, {}], {}),
    ],
    ids=["one", "two", "last-unfinished", "first-unfinished", "last-empty"],
)
def test_the_mean_is_over_replicates_that_all_have_it(
    replicates: list[dict[str, float]], expected: dict[str, float]
) -> None:
    assert mean_minutes(replicates) == expected


def results_of(outcome: StudyOutcome, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((outcome.paths.trial(name) / "results.json").read_text())
    return found


def seconds_of(replicate: dict[str, Any]) -> dict[str, float]:
    return {run["stage"]: run["seconds"] for run in replicate["runs"]}


def test_a_trial_s_times_are_means_over_its_replicates(ran: Runner) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    outcome = ran(phases=phases, replicates={"folds": 3})
    frame = trials_frame(outcome.paths.root.parent).set_index("trial")
    kept = outcome.phases["one"].trials.set_index("trial")
    for name in ("one-value=0.2", "one-value=0.6"):
        results = results_of(outcome, name)
        seconds = [seconds_of(replicate) for replicate in results["replicates"]]
        assert len({found["train"] for found in seconds}) > 1
        assert len({found["prepare"] for found in seconds}) == 1
        expected = {
            "prepare_time_min": seconds[0]["prepare"] / 60,
            "train_time_min": fmean(found["train"] for found in seconds) / 60,
            "total_time_min": fmean(sum(found.values()) for found in seconds) / 60,
        }
        assert results["times"] == pytest.approx(expected)
        assert {column: frame.loc[name, column] for column in expected} == results["times"]
        assert {column: kept.loc[name, column] for column in expected} == results["times"]


def test_what_was_shared_counts_in_full(ran: Runner) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    outcome = ran(phases=phases, params={"prepare": {"seconds": 0.05}})
    times = [results_of(outcome, f"one-value={value}")["times"] for value in (0.2, 0.6)]
    assert times[0]["prepare_time_min"] == times[1]["prepare_time_min"] > 3 * 0.05 / 60
    for found in times:
        assert found["total_time_min"] == pytest.approx(
            found["prepare_time_min"] + found["train_time_min"]
        )


def test_times_are_those_of_when_it_was_computed(ran: Runner) -> None:
    """What a second study finds in the store takes as long as it took the first one."""
    phases = [{"name": "one", "grid": {"train.value": [0.2]}}]
    first = ran(phases=phases)
    second = ran(phases=phases, name="again")
    assert not second.result.account.executed
    times = [results_of(outcome, "one-value=0.2")["times"] for outcome in (first, second)]
    assert times[0] == times[1] != {}


def test_a_trial_that_failed_has_the_times_of_what_is_done(ran: Runner) -> None:
    points = [{"train.fault": "raise"}, {"prepare.fault": "raise"}, {"train.value": 0.1}]
    outcome = ran(phases=[{"name": "one", "points": points}])
    names = [trial["name"] for trial in outcome.decisions["one"]["trials"]]
    times = [set(results_of(outcome, name)["times"]) for name in names]
    every = {"prepare_time_min", "train_time_min", "total_time_min"}
    assert times == [{"prepare_time_min"}, set(), every]
    frame = trials_frame(outcome.paths.root.parent).set_index("trial")
    assert list(frame["total_time_min"].isna()) == [True, True, False]
    assert list(frame["prepare_time_min"].isna()) == [False, True, False]


def test_times_are_not_in_the_report(whole: StudyOutcome) -> None:
    assert "time_min" not in whole.paths.report.read_text()
