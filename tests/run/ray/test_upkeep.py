"""Resume checkpoints of runs that are done go after each wave, and Tune's folder still serves."""

from pathlib import Path

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import Study, analysis
from phasetune.api import run_study
from phasetune.run.events import Noticed, RunDone, WaveStarted
from phasetune.store.garbage import garbage
from phasetune.store.paths import ResultsPaths
from stored import Does

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def test_tunes_analysis_works_without_the_checkpoints_of_runs_that_are_done(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    there = Does(WaveStarted, lambda: list(tmp_path.rglob("checkpoint_*")))
    outcome = run_study(scripted_study(phases=ONE), results=tmp_path, listener=there)
    assert there.results == [[], [], [], []]
    assert not list(tmp_path.rglob("checkpoint_*"))
    found = analysis(tmp_path, "one")
    frame = found.dataframe()
    assert sorted(frame["score"]) == [0.2, 0.6]
    assert len(found.trial_dataframes) == 2
    assert outcome.paths.phase("one").attempts.is_dir()
    assert garbage(ResultsPaths(tmp_path)) == []


def test_a_budget_removes_nothing_that_tune_still_knows_of(tmp_path: Path, heard: Heard) -> None:
    study = Study.model_validate(
        {
            "name": "grown",
            "workload": "trunked",
            "import_from": [str(TESTS)],
            "objective": {"metric": "score"},
            "phases": [{"name": "depth", "grid": {"grow.steps": [5, 8, 12]}}],
            "final": {"refit": False, "test": False},
            "max_checkpoint_gib": 1 / 1024**3,
        }
    )
    outcome = run_study(study, results=tmp_path, listener=heard)
    assert not outcome.failures
    assert len(heard.of(RunDone)) == 6
    assert not list(tmp_path.rglob("checkpoint_*"))
    assert "FileNotFoundError" not in outcome.paths.log.read_text()
    (warning,) = [event.message for event in heard.of(Noticed) if "warning" in event.message]
    assert "max_checkpoint_gib allows 1 B" in warning
