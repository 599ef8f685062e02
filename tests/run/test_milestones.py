"""Runs that are prefixes of one another: each step is taken once, and every artifact is its own."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, Heard
from phasetune import Study, run_study
from phasetune.run.events import RunDone
from phasetune.run.interrupt import Interrupted
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.manifest import with_digest
from phasetune.store.paths import ResultsPaths
from phasetune.store.trunks import trunk_steps
from stored import StopsAt


def study(tmp_path: Path, steps: Sequence[int], **params: Any) -> Study:
    return Study.model_validate(
        {
            "name": "grown",
            "workload": "trunked",
            "import_from": [str(TESTS)],
            "data": {"log": str(tmp_path / "steps.txt")},
            "params": {"grow": params},
            "objective": {"metric": "score"},
            "phases": [{"name": "depth", "grid": {"grow.steps": list(steps)}}],
            "final": {"refit": False, "test": False},
        }
    )


def steps_taken(tmp_path: Path) -> list[int]:
    path = tmp_path / "steps.txt"
    found = [int(line) for line in path.read_text().split()] if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def grown(results: Path) -> dict[int, Artifact]:
    """Each stored run of the first stage by its horizon."""
    store = ArtifactStore(ResultsPaths(results).store)
    found = [store.get("grow", path.name) for path in (store.root / "grow").glob("[0-9a-f]*")]
    return {
        int(artifact.manifest["run"]["params"]["grow.steps"]): artifact
        for artifact in found
        if artifact is not None and artifact.manifest["run"]["trunk_step"] is None
    }


def content(artifact: Artifact) -> tuple[Mapping[str, float], list[dict[str, float]], bytes]:
    chain = (artifact.files / "chain.txt").read_bytes()
    return artifact.metrics, artifact.history(), chain


def alone(tmp_path: Path, steps: int, **params: Any) -> Artifact:
    """The artifact of a run that never shared anything."""
    folder = tmp_path / f"alone-{steps}"
    run_study(study(tmp_path, [steps], **params), results=folder, in_process=True, shares=False)
    steps_taken(tmp_path)
    return grown(folder)[steps]


@pytest.mark.parametrize("tail", [0, 1, 3])
def test_each_step_of_a_trunk_is_taken_once(tmp_path: Path, tail: int) -> None:
    run_study(study(tmp_path, [8, 5, 12], tail=tail), results=tmp_path / "r", in_process=True)
    trunk = 12 - tail
    tails = [s for horizon in (5, 8, 12) for s in range(horizon - tail + 1, horizon + 1)]
    assert sorted(steps_taken(tmp_path)) == sorted([*range(1, trunk + 1), *tails])


def test_each_artifact_is_that_of_a_run_alone(tmp_path: Path) -> None:
    run_study(study(tmp_path, [8, 5, 12], tail=2), results=tmp_path / "r", in_process=True)
    found = grown(tmp_path / "r")
    for steps in (5, 8, 12):
        assert content(found[steps]) == content(alone(tmp_path, steps, tail=2)), steps


def test_a_later_study_goes_on_from_the_stored_trunk(tmp_path: Path) -> None:
    results = tmp_path / "r"
    run_study(study(tmp_path, [5], tail=1), results=results, in_process=True)
    steps_taken(tmp_path)
    run_study(study(tmp_path, [5, 9], tail=1), results=results, in_process=True)
    assert steps_taken(tmp_path) == [5, 6, 7, 8, 9]
    assert content(grown(results)[9]) == content(alone(tmp_path, 9, tail=1))


def test_a_shorter_run_that_is_asked_for_later_needs_its_own_way_there(tmp_path: Path) -> None:
    results = tmp_path / "r"
    run_study(study(tmp_path, [4, 12], tail=1), results=results, in_process=True)
    steps_taken(tmp_path)
    run_study(study(tmp_path, [4, 9, 12], tail=1), results=results, in_process=True)
    assert steps_taken(tmp_path) == [4, 5, 6, 7, 8, 9]
    assert content(grown(results)[9]) == content(alone(tmp_path, 9, tail=1))


def test_trunks_of_different_parameters_have_nothing_in_common(tmp_path: Path) -> None:
    for value in (0.5, 0.6):
        run_study(study(tmp_path, [5], value=value), results=tmp_path / "r", in_process=True)
    assert sorted(steps_taken(tmp_path)) == sorted([*range(1, 6)] * 2)


def test_without_milestones_each_run_takes_all_its_steps(tmp_path: Path) -> None:
    run_study(study(tmp_path, [3, 5], shares=False), results=tmp_path / "r", in_process=True)
    assert sorted(steps_taken(tmp_path)) == [1, 1, 2, 2, 3, 3, 4, 5]


@pytest.mark.parametrize("reports", [1, 3, 4, 5, 6, 9, 12])
def test_a_trunk_that_was_interrupted_leaves_no_trace(tmp_path: Path, reports: int) -> None:
    results, asked = tmp_path / "r", study(tmp_path, [5, 8, 11], tail=2)
    with pytest.raises(Interrupted):
        run_study(asked, results=results, in_process=True, listener=StopsAt(reports))
    run_study(asked, results=results, in_process=True)
    taken = steps_taken(tmp_path)
    assert sorted(taken) == sorted([*range(1, 10), 4, 5, 7, 8, 10, 11])
    for steps in (5, 8, 11):
        assert content(grown(results)[steps]) == content(alone(tmp_path, steps, tail=2)), steps


def test_an_interrupted_trunk_serves_a_later_branch_point(tmp_path: Path) -> None:
    results = tmp_path / "r"
    with pytest.raises(Interrupted):
        run_study(study(tmp_path, [9]), results=results, in_process=True, listener=StopsAt(6))
    run_study(study(tmp_path, [12]), results=results, in_process=True)
    assert steps_taken(tmp_path) == list(range(1, 13))
    assert content(grown(results)[12]) == content(alone(tmp_path, 12))


def test_a_damaged_trunk_is_not_gone_on_from(tmp_path: Path) -> None:
    results = tmp_path / "r"
    run_study(study(tmp_path, [4, 7]), results=results, in_process=True)
    store = ArtifactStore(ResultsPaths(results).store)
    (damaged,) = (store.root / "grow").glob("*-000006")
    (damaged / "files" / "state.json").write_text(json.dumps({"chain": "x", "step": 6}))
    steps_taken(tmp_path)
    run_study(study(tmp_path, [4, 7, 10]), results=results, in_process=True)
    assert steps_taken(tmp_path) == list(range(4, 11))
    assert content(grown(results)[10]) == content(alone(tmp_path, 10))


def test_a_trunk_of_another_environment_is_not_gone_on_from(tmp_path: Path) -> None:
    results = tmp_path / "r"
    run_study(study(tmp_path, [4]), results=results, in_process=True)
    (other,) = (ResultsPaths(results).store / "grow").glob("*-000003")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["environment"]["device"] = "cuda"
    (other / "manifest.json").write_text(json.dumps(with_digest(manifest)))
    steps_taken(tmp_path)
    shutil.rmtree(grown(results)[4].folder)
    run_study(study(tmp_path, [4, 6]), results=results, in_process=True)
    assert steps_taken(tmp_path) == [1, 2, 3, 4, 4, 5, 6]
    assert content(grown(results)[6]) == content(alone(tmp_path, 6))


def test_trunks_are_stored_at_their_branch_points(tmp_path: Path) -> None:
    run_study(study(tmp_path, [4, 7], tail=1), results=tmp_path / "r", in_process=True)
    store = ArtifactStore(ResultsPaths(tmp_path / "r").store)
    trunk = grown(tmp_path / "r")[4].manifest["run"]["trunk"]
    assert trunk["step"] == 3
    assert trunk_steps(store, "grow", trunk["id"]) == [3, 6]


def test_what_a_trunk_fails_of_is_not_tried_for_each_run(tmp_path: Path, heard: Heard) -> None:
    results = tmp_path / "r"
    asked = study(tmp_path, [3, 6, 9], fault_step=5)
    outcome = run_study(asked, results=results, in_process=True, listener=heard)
    assert steps_taken(tmp_path) == [1, 2, 3, 3, 4]
    assert next(done.label for done in heard.of(RunDone)).startswith("grow steps=3")
    messages = [failed.failure.message for failed in outcome.failures]
    assert messages == ["ValueError: scripted failure at step 5"] * 2
    again = run_study(asked, results=results, in_process=True, retry_failed=True)
    assert len(again.failures) == 2
    assert steps_taken(tmp_path) == []


def test_a_run_before_the_failing_step_is_not_blamed_for_it(tmp_path: Path) -> None:
    results = tmp_path / "r"
    run_study(study(tmp_path, [9], fault_step=5), results=results, in_process=True)
    outcome = run_study(study(tmp_path, [4, 9], fault_step=5), results=results, in_process=True)
    assert [failed.label for failed in outcome.failures] == ["grow steps=9"]
    assert grown(results)[4].metrics["steps_taken"] == 4.0


@pytest.mark.ray
def test_through_ray_the_runs_of_a_trunk_are_one_job(tmp_path: Path, heard: Heard) -> None:
    results = tmp_path / "r"
    asked = study(tmp_path, [5, 8, 11], tail=2, fault_step=7, marker=str(tmp_path / "killed-once"))
    outcome = run_study(asked, results=results, max_concurrent=2, listener=heard)
    assert (tmp_path / "killed-once").exists()
    assert not outcome.failures
    taken = steps_taken(tmp_path)
    assert sorted(taken) == sorted([*range(1, 10), 4, 5, 7, 8, 10, 11])
    labels = [done.label for done in heard.of(RunDone)]
    assert labels[:3] == ["grow steps=5", "grow steps=8", "grow steps=11"]
    inside = run_study(asked, results=tmp_path / "inside", in_process=True)
    assert outcome.report == inside.report
