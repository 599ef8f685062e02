"""What runs cost so far: means of a run or of a step, from what is stored."""

from pathlib import Path
from typing import Any

import pytest

from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import mean_seconds


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def publish(store: ArtifactStore, key: str, seconds: float, **run: Any) -> None:
    described = {"function": "toy:fit", "params": {"fit.epochs": 10}, **run}
    record = {
        "environment": {},
        "run": described,
        "provenance": {"duration_seconds": seconds},
    }
    with store.draft("fit", key, "1") as draft:
        store.publish(draft, stage="fit", key=key, metrics={}, history=[], record=record)


def test_nothing_is_known_of_what_never_ran(store: ArtifactStore) -> None:
    publish(store, "aa", 4.0, function="toy:other")
    assert mean_seconds(store, "fit", "toy:fit") is None
    assert mean_seconds(store, "other", "toy:fit") is None


def test_the_mean_is_that_of_the_function_s_runs(store: ArtifactStore) -> None:
    publish(store, "aa", 1.0)
    publish(store, "bb", 3.0)
    publish(store, "cc", 100.0, function="toy:other")
    assert mean_seconds(store, "fit", "toy:fit") == 2.0


def test_a_trunk_is_no_run(store: ArtifactStore) -> None:
    publish(store, "aa", 1.0)
    publish(store, "bb", 100.0, trunk_step=8)
    assert mean_seconds(store, "fit", "toy:fit") == 1.0


def test_the_mean_of_a_step_weighs_runs_by_their_steps(store: ArtifactStore) -> None:
    publish(store, "aa", 10.0)
    publish(store, "bb", 80.0, params={"fit.epochs": 90})
    assert mean_seconds(store, "fit", "toy:fit", per="epochs") == 0.9


def test_runs_without_steps_tell_nothing_of_a_step(store: ArtifactStore) -> None:
    publish(store, "aa", 10.0, params={"fit.epochs": 0})
    assert mean_seconds(store, "fit", "toy:fit", per="epochs") is None


def test_a_torn_manifest_is_left_out(store: ArtifactStore) -> None:
    publish(store, "aa", 1.0)
    publish(store, "bb", 3.0)
    (store.folder("fit", "bb") / "manifest.json").write_text("{")
    assert mean_seconds(store, "fit", "toy:fit") == 1.0
