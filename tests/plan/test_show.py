"""A plan as a document, and what it costs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from phasetune.plan.data import data_state
from phasetune.plan.planner import Planner
from phasetune.plan.show import Cost, StudyPlan, cost_of
from phasetune.plan.survey import StudySurvey, survey
from phasetune.store.artifacts import ArtifactStore
from phasetune.study.load import LoadedStudy

MakeStudy = Callable[..., LoadedStudy]


def surveyed(loaded: LoadedStudy, *stored: str) -> StudySurvey:
    """A study of which all runs of the stages in `stored` are there."""
    planner = Planner(loaded, data_state(loaded).fingerprints)
    return survey(planner, decided=lambda _: None, is_stored=lambda run: run.stage in stored)


@pytest.fixture
def store(tmp_path: Path) -> Callable[[Mapping[str, list[float]]], ArtifactStore]:
    """A store whose stages took these seconds, under keys that no plan has."""

    def make(seconds: Mapping[str, list[float]]) -> ArtifactStore:
        made = ArtifactStore(tmp_path)
        for stage, durations in seconds.items():
            for number, duration in enumerate(durations):
                record = {
                    "environment": {},
                    "provenance": {"duration_seconds": duration},
                    "run": {"function": f"toy:{stage}"},
                }
                key = f"{number:032x}"
                with made.draft(stage, key, "1") as draft:
                    made.publish(draft, stage=stage, key=key, metrics={}, history=[], record=record)
        return made

    return make


MakeStore = Callable[[Mapping[str, list[float]]], ArtifactStore]


def test_cost_is_the_mean_duration_of_each_missing_run(study: MakeStudy, store: MakeStore) -> None:
    kept = store({"pretrain": [100.0, 200.0], "finetune": [10.0], "test": [1.0]})
    # one pre-training, four fine-tunings and the final's, one test
    total = 150.0 + 5 * 10.0 + 1.0
    assert cost_of(surveyed(study()), kept) == Cost(
        low_seconds=total, high_seconds=total, unknown_stages=()
    )


def test_cost_is_a_range_where_the_winner_matters(study: MakeStudy, store: MakeStore) -> None:
    # the second phase's 64 with 50 epochs is new where 32 won
    larger = {"pretrain.hidden_size": 64, "pretrain.epochs": 75, "finetune.epochs": 9}
    phases = [
        {"name": "first", "grid": {"pretrain.hidden_size": [32, 64]}},
        {
            "name": "second",
            "points": [{"pretrain.hidden_size": 64}, {"pretrain.epochs": 75}, larger],
        },
    ]
    planned = surveyed(study(phases=phases, final={"refit": False, "test": False}))
    cost = cost_of(planned, store({"pretrain": [100.0], "finetune": [1.0]}))
    assert (cost.low_seconds, cost.high_seconds) == (3 * 100.0 + 4, 4 * 100.0 + 4)


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ({}, ("pretrain", "finetune", "test")),
        ({"finetune": [1.0]}, ("pretrain", "test")),
        ({"pretrain": [1.0], "finetune": [1.0]}, ("test",)),
    ],
)
def test_without_durations_there_is_no_estimate_and_the_stages_are_named(
    study: MakeStudy, store: MakeStore, known: dict[str, list[float]], unknown: tuple[str, ...]
) -> None:
    assert cost_of(surveyed(study()), store(known)) == Cost(
        low_seconds=None, high_seconds=None, unknown_stages=unknown
    )


def test_durations_of_another_function_do_not_count(study: MakeStudy, store: MakeStore) -> None:
    kept = store({"pretrain": [1.0], "finetune": [1.0], "test": [1.0]})
    manifest = next((kept.root / "test").glob("*/manifest.json"))
    manifest.write_text(manifest.read_text().replace("toy:test", "other:test"))
    assert cost_of(surveyed(study()), kept).unknown_stages == ("test",)


def test_what_is_stored_costs_nothing_and_needs_no_estimate(
    study: MakeStudy, store: MakeStore
) -> None:
    everything = surveyed(study(), "pretrain", "finetune", "test")
    assert cost_of(everything, store({})) == Cost(low_seconds=0, high_seconds=0, unknown_stages=())
    but_tests = surveyed(study(), "pretrain", "finetune")
    assert cost_of(but_tests, store({"test": [4.0]})).high_seconds == 4.0


def test_the_document_is_plain_and_complete(study: MakeStudy, store: MakeStore) -> None:
    loaded = study(data={"train": ""})
    plan = StudyPlan(
        study="toy",
        survey=surveyed(loaded),
        data=data_state(loaded),
        cost=cost_of(surveyed(loaded), store({})),
    )
    document = json.loads(json.dumps(plan.to_document()))
    assert (document["study"], document["trials"], document["keys_known"]) == ("toy", 4, False)
    assert document["settings"] == {"low": 4, "high": 4}
    (problem,) = document["data_problems"]
    assert "train.npy" in problem
    (phase,) = document["phases"]
    assert phase["trials"][0] == "timewarp-time_warp_sigma=0.1"
    assert (phase["asked"], phase["new"]) == ({"low": 8, "high": 8}, {"low": 5, "high": 5})
    assert [stage["stage"] for stage in document["stages"]] == ["pretrain", "finetune", "test"]
    assert document["cost"]["unknown_stages"] == ["pretrain", "finetune", "test"]
