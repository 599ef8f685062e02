"""Executing waves by backends that stand in: one joins a cluster, and one loses runs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study, StudyOutcome, plan_study, run_study
from phasetune.api import execute
from phasetune.run.backend import InProcessBackend
from phasetune.run.events import Listener, Noticed, RunDone
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.tries import NODE_RETRIES
from phasetune.run.request import RunRequest
from phasetune.store.provenance import environment_class
from phasetune.study.resources import Resources

FP32 = {"numerics": {"precision": "fp32"}}


class Joined(InProcessBackend):
    """Runs on machines with GPUs, in name; known as soon as it is entered, from a head without."""

    is_joined = True
    gpus = ("fp32",)

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._is_entered = False

    def __enter__(self) -> Self:
        assert not self._is_entered
        self._is_entered = True
        self.device = "cuda"
        return super().__enter__()

    def environments(
        self,
        *,
        uses_gpu: bool,
        stop: StopSwitch,
    ) -> Sequence[Mapping[str, Any]]:
        assert self._is_entered
        device = "cuda" if uses_gpu else "cpu"
        return [environment_class(device=device, precision=p, threads=1) for p in self.gpus]


@pytest.fixture
def _joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # it has no GPU to clean up
    monkeypatch.setattr(execute, "InProcessBackend", Joined)


def run(study: Study, folder: Path, **options: Any) -> tuple[StudyOutcome, list[str]]:
    """What came of it, and what was noticed."""
    heard = Heard()
    options = {"results": folder, "in_process": True, "listener": heard, **options}
    outcome = run_study(study, **options)
    return outcome, [event.message for event in heard.of(Noticed)]


def executed(outcome: StudyOutcome) -> int:
    return len(outcome.result.account.executed)


@pytest.mark.usefixtures("_joined")
def test_strictness_keeps_what_the_gpus_of_a_joined_cluster_computed(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    study = scripted_study(**FP32)
    first, _ = run(study, tmp_path, strict_environment=True)
    keys = [entry["key"] for entry in first.result.account.executed]
    assert len(keys) == len(set(keys)) > 3
    again, noticed = run(study, tmp_path, strict_environment=True)
    assert (executed(again), noticed) == (0, [])
    assert not (tmp_path / "store" / "set-aside").exists()


@pytest.mark.usefixtures("_joined")
def test_any_class_that_a_cluster_has_counts_and_another_is_run_again(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = scripted_study(**FP32)
    first, _ = run(study, tmp_path)
    monkeypatch.setattr(Joined, "gpus", ("bf16", "fp32"))
    assert executed(run(study, tmp_path, strict_environment=True)[0]) == 0
    monkeypatch.setattr(Joined, "gpus", ("bf16",))
    again, _ = run(study, tmp_path, strict_environment=True)
    # each run once in this command, though no run of it is ever of the class that was named
    assert executed(again) == executed(first)


def test_the_device_of_the_driver_is_no_change_where_it_joins_a_cluster(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def move(device: str) -> None:
        monkeypatch.setattr("phasetune.run.changes.device_of_this_process", lambda *_, **__: device)

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    study = scripted_study(**FP32)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "InProcessBackend", Joined)
        run(study, tmp_path)
        for device in ("cuda", "cpu"):
            move(device)
            assert run(study, tmp_path)[1] == []
            assert plan_study(study, results=tmp_path).changes == ()
    run(study, tmp_path)
    move("cuda")
    (told,) = run(study, tmp_path)[1]
    assert told.startswith("changed since the last run: device cpu -> cuda: ")


@pytest.mark.parametrize(
    ("resources", "device"),
    [
        ({}, "cpu"),
        ({"gpu": "auto"}, "cpu"),
        ({"gpu": 0}, "cpu"),
        ({"gpu": 0.25}, "cuda"),
        ({"gpu": 1}, "cuda"),
        ({"accelerator": "A100"}, "cuda"),
    ],
    ids=str,
)
def test_a_plan_made_where_no_gpu_is_warns_of_the_device_that_is_asked_for(
    scripted_study: StudyMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resources: dict[str, Any],
    device: str,
) -> None:
    asked: list[str] = []

    def warnings(*_: object, device: str) -> tuple[str, ...]:
        asked.append(device)
        return ()

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("phasetune.run.machine.compute_capabilities", tuple)
    monkeypatch.setattr("phasetune.api.ask.workload_warnings", warnings)
    plan_study(
        scripted_study(resources_per_trial=Resources.model_validate(resources)), results=tmp_path
    )
    assert asked == [device]


class Losing(InProcessBackend):
    """Loses the last run of a wave, so many times, as where its node goes before it is begun."""

    times = 0

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        self.times -= 1
        super().execute(wave if self.times < 0 else wave[:-1], listener=listener, stop=stop)


def test_runs_that_are_lost_with_their_nodes_are_executed_again(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "InProcessBackend", Losing)
    study = scripted_study(phases=[{"name": "one", "points": [{}]}], max_failures=0)
    monkeypatch.setattr(Losing, "times", NODE_RETRIES)
    heard = Heard()
    outcome, _ = run(study, tmp_path / "some", listener=heard)
    assert not outcome.failures
    done = [event.label for event in heard.of(RunDone)]
    assert sorted(done) == sorted(entry["label"] for entry in outcome.result.account.executed)
    monkeypatch.setattr(Losing, "times", NODE_RETRIES + 1)
    with pytest.raises(StoreError, match="left neither an artifact nor a failure: prepare; run ag"):
        run(study, tmp_path / "more")
