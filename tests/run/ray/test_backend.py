"""The border to Ray: the same results as in-process, and what happens to workers."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import StoreError, Study, StudyError, StudyOutcome, analysis
from phasetune.api import run_study
from phasetune.run.events import (
    Noticed,
    RunDone,
    RunFailed,
    RunReported,
    RunStarted,
    WaveStarted,
)
from phasetune.store.paths import ResultsPaths
from phasetune.store.workers import workers
from stored import Does

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

Runner = Callable[..., StudyOutcome]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    def go(study: Study, folder: str = "results", **options: Any) -> StudyOutcome:
        return run_study(study, results=tmp_path / folder, **options)

    return go


def report(outcome: StudyOutcome) -> bytes:
    return (outcome.paths.root / "report.json").read_bytes()


def test_both_backends_and_any_concurrency_give_the_same_report(
    run: Runner, scripted_study: StudyMaker, heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    points = [{"train.value": 0.6}, {"train.value": 0.4}, {"train.fault": "raise"}]
    study = scripted_study(
        replicates={"folds": 2},
        phases=[{"name": "value", "points": points}, {"name": "steps", "points": [{}]}],
    )
    in_process = run(study, "in-process", in_process=True)
    one = run(study, "one", max_concurrent=1)
    two = run(study, "two", max_concurrent=2, listener=heard)
    assert report(in_process) == report(one) == report(two)
    assert [failed.failure for failed in one.failures] == [f.failure for f in in_process.failures]
    assert len(heard.of(RunStarted)) == len(two.result.account.executed) + len(two.failures)
    assert {event.step for event in heard.of(RunReported)} == {1, 2, 3}
    assert len(heard.of(RunDone)) == len(two.result.account.executed)
    assert len(heard.of(RunFailed)) == len(two.failures) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
    log = (two.paths.root / "logs" / "ray.log").read_text()
    assert "scripted failure" not in log.partition("Traceback")[0]


def test_tunes_own_analysis_agrees_and_has_readable_columns(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    outcome = run(scripted_study(phases=[scripted_study().phases[0].model_dump(exclude_none=True)]))
    frame = analysis(tmp_path / "results", "value").dataframe()
    assert sorted(frame["config/run/train.value"]) == [0.2, 0.4, 0.6]
    assert sorted(frame["score"]) == [0.2, 0.4, 0.6]
    assert set(frame["run_state"]) == {"done"}
    assert set(frame["run_key"]) == {
        entry["key"]
        for entry in outcome.result.account.executed
        if entry["stage"] == "train" and entry["label"] != "train"
    }


def test_a_wave_without_work_starts_no_tuner(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    run(scripted_study(), in_process=True)
    run(scripted_study(), listener=heard)
    assert not heard.of(WaveStarted)


def test_a_killed_worker_is_tried_again_and_goes_on_from_its_checkpoint(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    phases = [{"name": "one", "points": [{}]}]
    healthy = run(scripted_study(phases=phases), "healthy", in_process=True)
    params = {"train": {"fault": "kill", "fault_step": 3, "marker": str(tmp_path / "killed")}}
    outcome = run(scripted_study(phases=phases, params=params), listener=heard)
    assert outcome.exit_code == 0
    assert not outcome.failures
    scores = [found.decisions["one"]["trials"][0]["metrics"] for found in (healthy, outcome)]
    assert scores[0]["chain"] == scores[1]["chain"]
    trained = [e.step for e in heard.of(RunReported) if e.label.startswith("train")]
    # once for the trial, killed before its third step, and once for the refit
    assert trained == [1, 2, 3, 1, 2, 3]
    told = [event.message for event in heard.of(Noticed) if "again" in event.message]
    assert told == ["train fold 1/5: the worker died; it is tried again, 2 of 3"]
    (manifest,) = (
        found
        for path in (tmp_path / "results" / "store" / "train").glob("*/manifest.json")
        if (found := json.loads(path.read_text()))["run"]["fold"] is not None
    )
    assert manifest["provenance"]["resumed"]


def test_a_run_whose_worker_dies_every_time_fails_and_others_go_on(
    run: Runner, scripted_study: StudyMaker
) -> None:
    points = [{"train.fault": "kill"}, {"train.value": 0.3}]
    outcome = run(scripted_study(phases=[{"name": "one", "points": points}], max_failures=1))
    (failed,) = outcome.failures
    assert failed.failure.cause == "worker_died"
    assert failed.failure.message == "the worker died; tried 2 times"
    assert failed.traceback.exists()
    assert outcome.exit_code == 0
    assert outcome.winner is not None
    assert outcome.winner["settings"]["train.value"] == 0.3


def test_a_hung_run_is_ended_by_the_watchdog_and_tried_once_more(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    once = {"train.fault": "hang", "train.value": 0.3, "train.marker": str(tmp_path / "hung")}
    study = scripted_study(
        phases=[{"name": "one", "points": [{"train.fault": "hang"}, once]}],
        final={"refit": False, "test": False},
        max_failures=0,
        stall_timeout_seconds=2.0,
    )
    outcome = run(study, listener=heard)
    (failed,) = outcome.failures
    assert failed.failure.cause == "stalled"
    assert failed.failure.message == (
        "nothing was reported for 2 s; let it report, or raise stall_timeout_seconds; tried 2 times"
    )
    assert "_misbehave" in failed.traceback.read_text()
    assert outcome.winner is not None
    assert outcome.winner["settings"]["train.value"] == 0.3
    told = [event.message for event in heard.of(Noticed) if "again" in event.message]
    assert len(told) == 2
    assert all(text.endswith("for 2 s; it is tried again, 2 of 2") for text in told)


def test_workers_use_the_threads_that_the_study_asks_for(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    (tmp_path / "counts_threads.py").write_text(
        "import scripted\n"
        "from phasetune import Stage\n"
        "Data = scripted.Data\n"
        "STAGES = (Stage(name='train', params=scripted.Script, function='counts_threads:train',\n"
        "                reads=('train',)),)\n"
        "def train(ctx, params):\n"
        "    import os, numpy, torch\n"
        "    from threadpoolctl import threadpool_info\n"
        "    pools = [pool['num_threads'] for pool in threadpool_info()]\n"
        "    return {'score': 1.0, 'other': 1.0, 'torch': torch.get_num_threads(),\n"
        "            'pools': max(pools), 'ctx': ctx.threads,\n"
        "            'omp': int(os.environ['OMP_NUM_THREADS'])}\n"
    )
    outcome = run(
        scripted_study(
            workload="counts_threads",
            import_from=[str(tmp_path), *scripted_study().import_from],
            numerics={"threads": 2},
            phases=[{"name": "one", "points": [{}]}],
        )
    )
    metrics = outcome.decisions["one"]["trials"][0]["metrics"]
    assert {metrics[name]["mean"] for name in ("torch", "pools", "ctx", "omp")} == {2.0}


def test_a_run_that_asks_for_more_than_there_is_is_refused(
    run: Runner, scripted_study: StudyMaker
) -> None:
    with pytest.raises(StudyError, match="a run asks for 1 CPU and 3 GPU, but the machines have"):
        run(scripted_study(resources_per_trial={"cpu": 1, "gpu": 3}))


def test_sources_that_change_under_a_study_end_it(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    source = tmp_path / "scripted_under_ray.py"
    text = (TESTS / "scripted.py").read_text().replace("scripted:", "scripted_under_ray:")
    source.write_text(text)

    class Meddler:
        def notify(self, event: object) -> None:
            if isinstance(event, RunDone):
                source.write_text(text + "\nCHANGED = True\n")

    study = scripted_study(workload="scripted_under_ray", import_from=[str(tmp_path)])
    with pytest.raises(StoreError, match="are others here than where the study was planned"):
        run(study, listener=Meddler())
    assert not list(tmp_path.rglob("failed-runs"))
    assert not list(tmp_path.rglob("decision.json"))


def test_nothing_is_left_of_the_environment_and_workers_are_counted(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    before = dict(os.environ)
    study = ResultsPaths(tmp_path / "results").study("scripted")
    counting = Does(RunReported, lambda: len(workers(study)))
    run(scripted_study(phases=[{"name": "one", "points": [{}]}]), listener=counting)
    assert max(counting.results) >= 1
    assert dict(os.environ) == before
