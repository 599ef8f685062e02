"""What Ray does that this program relies on; to be looked at again when its version moves."""

import os
from pathlib import Path
from typing import Any

import pytest

from phasetune.run.ray.places import node_of
from phasetune.run.ray.trainable import TUNES_OWN, flat_for_tune
from phasetune.run.ray.tries import actor_told

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def fit(trainable: Any, folder: Path, count: int, **run_config: Any) -> Any:
    from ray import tune

    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"run": tune.grid_search([{"index": i} for i in range(count)])},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), name="fact", verbose=0, **run_config),
    ).fit()


def test_actors_are_reused_and_tune_adds_only_known_names(tmp_path: Path) -> None:
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        tune.report({"worker": os.getpid(), "own": config["run"]["index"]})

    results = list(fit(trainable, tmp_path, 6))
    assert len({result.metrics["worker"] for result in results}) <= (os.cpu_count() or 1)
    added = {name for result in results for name in result.metrics} - {"worker", "own"}
    assert added <= TUNES_OWN


def test_a_metric_with_one_of_tunes_names_gets_another_one() -> None:
    assert flat_for_tune({"done": 1.0, "loss": 2.0}) == {"metric_done": 1.0, "loss": 2.0}


def test_a_dead_worker_starts_the_trainable_anew_in_the_same_folder(tmp_path: Path) -> None:
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        marker = tmp_path / "died"
        if not marker.exists():
            marker.touch()
            os._exit(1)
        tune.report({"iteration": 1})

    (result,) = fit(trainable, tmp_path, 1, failure_config=tune.FailureConfig(max_failures=1))
    assert result.error is None
    assert result.metrics["training_iteration"] == 1


def test_the_message_on_a_dead_worker_names_it_and_its_node_is_known_still(tmp_path: Path) -> None:
    import ray
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        if not list(tmp_path.glob("worked-*")):
            (tmp_path / f"worked-{ray.get_runtime_context().get_actor_id()}").touch()
            os._exit(1)
        tune.report({"iteration": 1})

    again = tune.FailureConfig(max_failures=1)
    fit(trainable, tmp_path, 1, failure_config=again)
    (worked,) = (path.name.partition("-")[2] for path in tmp_path.glob("worked-*"))
    (message,) = tmp_path.glob("fact/*/error.txt")
    assert actor_told(message.read_text()) == worked
    assert node_of(worked) == ray.nodes()[0]["NodeID"]


def test_the_newest_checkpoint_is_kept_whole(tmp_path: Path) -> None:
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        for step in range(3):
            folder = tmp_path / "state"
            folder.mkdir(exist_ok=True)
            (folder / "step").write_text(str(step))
            tune.report({"step": step}, checkpoint=tune.Checkpoint.from_directory(str(folder)))

    fit(trainable, tmp_path, 1, checkpoint_config=tune.CheckpointConfig(num_to_keep=1))
    (kept,) = tmp_path.glob("fact/*/checkpoint_*/step")
    assert kept.read_text() == "2"


def test_the_private_cluster_asks_for_its_token() -> None:
    assert os.environ["RAY_AUTH_MODE"] == "token"
