"""A plan as a document, what it costs, and what it leaves on the disk."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from phasetune.plan.data import data_state
from phasetune.plan.planner import Planner
from phasetune.plan.show import Cost, Disk, StudyPlan, cost_of, disk_of
from phasetune.plan.survey import StudySurvey, survey
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import mean_size
from phasetune.study.load import LoadedStudy

MakeStudy = Callable[..., LoadedStudy]
MODEL, KEPT = 50_000, 20_000
NOTHING_KNOWN = ("pretrain", "finetune", "test")


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
                    (draft / "files" / "model.bin").write_bytes(bytes(MODEL))
                    (draft / "checkpoints" / "state.pt").write_bytes(bytes(KEPT))
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
        disk=disk(surveyed(loaded), store({})),
        changes=("seed: 1 -> 2",),
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
    assert document["cost"]["unknown_stages"] == list(NOTHING_KNOWN)
    assert document["changes"] == ["seed: 1 -> 2"]
    assert document["disk"] == {
        "low_bytes": 0,
        "high_bytes": 0,
        "free_bytes": 10**9,
        "unknown_stages": list(NOTHING_KNOWN),
    }


def disk(
    planned: StudySurvey, kept: ArtifactStore, *, resume: int = 0, allowed: float = math.inf
) -> Disk:
    return disk_of(
        planned, kept, free_bytes=10**9, resume_bytes=resume, most_checkpoint_bytes=allowed
    )


def artifact_bytes(kept: ArtifactStore, stage: str) -> int:
    size = mean_size(kept, stage, f"toy:{stage}")
    assert size is not None
    assert size.checkpoints == KEPT
    return round(size.artifact)


def test_the_disk_holds_the_mean_of_each_missing_run(study: MakeStudy, store: MakeStore) -> None:
    kept = store({stage: [1.0, 1.0] for stage in NOTHING_KNOWN})
    # one pre-training, four fine-tunings and the final's, one test
    runs = {"pretrain": 1, "finetune": 5, "test": 1}
    artifacts = sum(count * artifact_bytes(kept, stage) for stage, count in runs.items())
    found = disk(surveyed(study()), kept, resume=5000)
    assert found.low_bytes == found.high_bytes == artifacts + 7 * KEPT + 5000
    assert found.unknown_stages == ()


def test_checkpoints_take_no_more_than_the_study_allows(study: MakeStudy, store: MakeStore) -> None:
    kept = store({"pretrain": [1.0]})
    found = disk(surveyed(study()), kept, resume=5000, allowed=7000)
    assert found.high_bytes == artifact_bytes(kept, "pretrain") + 7000
    assert found.unknown_stages == ("finetune", "test")


def test_what_is_stored_takes_nothing_more(study: MakeStudy, store: MakeStore) -> None:
    everything = surveyed(study(), *NOTHING_KNOWN)
    found = disk(everything, store({"pretrain": [1.0]}), resume=5000)
    assert (found.low_bytes, found.high_bytes, found.unknown_stages) == (0, 0, ())


def test_the_disk_is_a_range_where_the_winner_matters(study: MakeStudy, store: MakeStore) -> None:
    phases = [
        {"name": "first", "grid": {"pretrain.hidden_size": [32, 64]}},
        {"name": "second", "points": [{"pretrain.hidden_size": 64}, {"pretrain.epochs": 75}]},
        {"name": "third", "points": [{"pretrain.hidden_size": 64, "pretrain.epochs": 75}]},
    ]
    kept = store({"pretrain": [1.0], "finetune": [1.0]})
    found = disk(surveyed(study(phases=phases, final={"refit": False, "test": False})), kept)
    one = artifact_bytes(kept, "pretrain") + artifact_bytes(kept, "finetune") + 2 * KEPT
    assert (found.low_bytes, found.high_bytes) == (3 * one, 4 * one)
