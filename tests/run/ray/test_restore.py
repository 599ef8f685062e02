"""A restored Tuner finishes what an interrupted attempt began, and the study goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import TESTS, StudyMaker
from phasetune import StoreError, Study, restore_tuner, run_study
from phasetune.study.dump import yaml_text
from stored import names_below

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

SECONDS = 60.0
RUNS = 1 + (os.cpu_count() or 1)
PATIENT = """
import scripted
from phasetune import Stage

Data = scripted.Data
STAGES = (
    Stage(name="train", params=scripted.Script, function="patient:train", reads=("train",)),
)


def train(ctx, params):
    metrics = scripted.follow(ctx, params)
    return {**metrics, "ended": 0.0} if metrics else {}
"""


@pytest.fixture
def study(scripted_study: StudyMaker, tmp_path: Path) -> Study:
    """More runs than CPUs, each of six slow steps with a checkpoint."""
    (tmp_path / "patient.py").write_text(PATIENT)
    values = [number / 100 for number in range(RUNS)]
    return scripted_study(
        workload="patient",
        import_from=[str(tmp_path), str(TESTS)],
        params={"train": {"steps": 6, "seconds": 0.2}},
        phases=[{"name": "one", "grid": {"train.value": values}}],
    )


def interrupt(study: Study, folder: Path) -> None:
    """Run it in a process of its own, and end it at the first checkpoint of its last run."""
    content = study.model_dump(mode="json", exclude_unset=True)
    (folder / "study.yaml").write_text(yaml_text(content))
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "run", "study.yaml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    while len(begun(folder)) < RUNS:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 143, out


def begun(folder: Path) -> set[Path]:
    found = folder.glob("results/scripted/phases/one/attempts/0001/train-*/checkpoint_*")
    return {path.parent for path in found}


def test_an_interrupted_attempt_is_finished_by_a_restored_tuner(
    study: Study, tmp_path: Path
) -> None:
    interrupt(study, tmp_path)
    results = tmp_path / "results"
    attempts = results / "scripted" / "phases" / "one" / "attempts"
    stored_before = {path.name for path in results.glob("store/train/*")}
    left = names_below(attempts / "0001")
    assert "stop-requested" in left

    grid = restore_tuner(results, "one").fit()

    assert len(grid) == RUNS
    assert not grid.errors
    manifests = {
        path.parent.name: json.loads(path.read_text())["provenance"]
        for path in results.glob("store/train/*/manifest.json")
    }
    assert len(manifests) == RUNS
    finished_now = {key: told for key, told in manifests.items() if key not in stored_before}
    assert finished_now
    assert all(told["attempt"] == "0002" for told in finished_now.values())
    assert any(told["resumed"] for told in finished_now.values())
    assert names_below(attempts / "0001") == left
    with pytest.raises(StoreError, match="no attempt through Ray that is not finished"):
        restore_tuner(results, "one")

    outcome = run_study(study, results=results, in_process=True)
    whole = run_study(study, results=tmp_path / "whole", in_process=True)
    assert not {entry["key"] for entry in outcome.result.account.executed} & set(manifests)
    assert outcome.paths.report.read_bytes() == whole.paths.report.read_bytes()
