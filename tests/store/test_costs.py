"""What runs cost so far, in time and on the disk: means of what is stored."""

from pathlib import Path
from typing import Any

import pytest

from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import mean_seconds, mean_size, runs_to_execute
from phasetune.store.failures import Failure, FailureStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def publish(
    store: ArtifactStore, key: str, seconds: float, *, size: int = 0, kept: int = 0, **run: Any
) -> None:
    described = {"function": "toy:fit", "params": {"fit.epochs": 10}, **run}
    record = {
        "environment": {},
        "run": described,
        "provenance": {"duration_seconds": seconds},
    }
    with store.draft("fit", key, "1") as draft:
        (draft / "files" / "model.bin").write_bytes(bytes(size))
        (draft / "checkpoints" / "state.pt").write_bytes(bytes(kept))
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


def test_the_size_of_a_run_is_a_mean_and_tells_what_is_kept_beside_it(store: ArtifactStore) -> None:
    publish(store, "aa", 1.0, size=1000, kept=30)
    publish(store, "bb", 1.0, size=3000, kept=50)
    publish(store, "cc", 1.0, size=90_000, function="toy:other")
    publish(store, "dd", 1.0, size=90_000, trunk_step=8)
    size = mean_size(store, "fit", "toy:fit")
    assert size is not None
    assert size.checkpoints == 40
    described = sum(
        path.stat().st_size
        for key in ("aa", "bb")
        for path in store.folder("fit", key).iterdir()
        if path.is_file()
    )
    assert size.artifact == 2000 + described / 2


def test_the_size_of_what_never_ran_is_not_known(store: ArtifactStore) -> None:
    publish(store, "aa", 1.0, function="toy:other")
    assert mean_size(store, "fit", "toy:fit") is None


def planned(*chains: str) -> dict[str, Any]:
    """A plan of one trial, a replicate per chain; its runs are of the stages `fit` and `test`."""
    runs = [
        [
            {"stage": stage, "key": key, "function": f"toy:{stage}"}
            for stage, key in zip(("fit", "test"), chain.split(), strict=True)
        ]
        for chain in chains
    ]
    return {"trials": [{"replicates": [{"runs": chain} for chain in runs]}]}


@pytest.mark.parametrize(
    ("chains", "missing"),
    [
        (["aa a1"], {("test", "a1"): "toy:test"}),
        (["bb b1"], {("fit", "bb"): "toy:fit", ("test", "b1"): "toy:test"}),
        (["ff f1"], {}),
        (["aa a1", "aa a1", "ff a1"], {("test", "a1"): "toy:test"}),
    ],
    ids=["stored, then missing", "all missing", "behind a failure", "shared runs count once"],
)
def test_what_is_left_to_execute_of_a_plan(
    store: ArtifactStore, chains: list[str], missing: dict[tuple[str, str], str]
) -> None:
    publish(store, "aa", 1.0)
    failures = FailureStore(store.root)
    failures.put(Failure(stage="fit", key="ff", cause="error", message="no"), "traceback")
    assert runs_to_execute(planned(*chains), store, failures) == missing
