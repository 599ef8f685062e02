"""What one step takes is measured, and nothing of the run stays behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, StudyMaker
from phasetune import Study, run_study
from phasetune.plan.data import data_state
from phasetune.plan.planner import Planner
from phasetune.run import execute
from phasetune.run.context import RunStopped
from phasetune.run.measure import Meter, measured_step
from phasetune.run.packing import NotMeasured, StepMemory
from phasetune.run.request import RunRequest
from phasetune.run.wave import wave_requests
from phasetune.store.paths import ResultsPaths
from phasetune.study.load import load

POINT = {"name": "one", "points": [{"train.steps": 5}]}


def requests(study: Study, results: Path) -> dict[str, RunRequest]:
    """The runs of the study's only trial, by stage."""
    loaded = load(study)
    planner = Planner(loaded, data_state(loaded).fingerprints)
    trials = planner.phase(0, planner.base_settings()).trials
    paths = ResultsPaths(results)
    attempt = paths.study(study.name).phase("one").attempts / "0001"
    found = wave_requests(loaded, trials[0].runs, trials, paths=paths, attempt=attempt)
    return {request.run.stage: request for request in found}


def meter(taken: int = 7) -> Meter:
    return lambda: (taken, 100)


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_run_ends_at_its_first_report_and_leaves_nothing(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTED_LOG", str(tmp_path / "steps"))
    request = requests(scripted_study(phases=[POINT]), tmp_path / "results")["prepare"]
    assert measured_step(request, device="cpu", meter=meter()) == StepMemory(
        taken_bytes=7, total_bytes=100
    )
    assert len((tmp_path / "steps").read_text().splitlines()) == 1
    assert files_below(tmp_path / "results") == set()


def test_a_run_that_has_a_parent_is_measured_on_top_of_it(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    study = scripted_study(phases=[POINT])
    run_study(study, results=tmp_path, in_process=True)
    before = files_below(tmp_path)
    found = measured_step(requests(study, tmp_path)["train"], device="cpu", meter=meter())
    assert isinstance(found, StepMemory)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("fault", "taken", "why"),
    [
        ("raise", 7, "its first step failed (ValueError: scripted failure at step 1)"),
        ("exit", 7, "its first step failed (SystemExit: 3)"),
        ("none", 0, "it took no memory of a GPU by torch"),
    ],
)
def test_a_step_that_tells_nothing_says_why(
    scripted_study: StudyMaker, tmp_path: Path, fault: str, taken: int, why: str
) -> None:
    study = scripted_study(phases=[POINT], params={"prepare": {"fault": fault}})
    request = requests(study, tmp_path)["prepare"]
    assert measured_step(request, device="cpu", meter=meter(taken)) == NotMeasured(why=why)
    assert files_below(tmp_path) == set()


def test_settings_say_how_large_a_run_is_and_only_where_that_is_asked_for(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"phases": [POINT], "params": {"prepare": {"allocated_mb": 3}}}
    found = requests(scripted_study(**asked, resources_per_trial={"gpu": "auto"}), tmp_path)
    assert found["train"].settings["prepare.allocated_mb"] == 3
    assert found["train"].settings["train.steps"] == 5
    assert {name.partition(".")[0] for name in found["prepare"].settings} == {"prepare"}
    assert requests(scripted_study(**asked), tmp_path)["train"].settings == {}


def test_the_part_that_was_granted_binds_the_stage(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[float, str]] = []

    def limited(part: float, *, device: str) -> AbstractContextManager[None]:
        limits.append((part, device))
        return nullcontext()

    monkeypatch.setattr(execute, "limited_gpu_memory", limited)
    request = requests(scripted_study(phases=[POINT]), tmp_path)["prepare"]
    measured_step(replace(request, gpu_part=0.25), device="cpu", meter=meter())
    assert limits == [(0.25, "cpu")]


class Channel:
    """Hears the steps of a run, and ends it at the second one."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def stop_asked(self) -> bool:
        return False

    def is_superseded(self) -> bool:
        return False

    def send(self, row: Mapping[str, float], _: Path | None) -> None:
        self.steps.append(row["step"])
        if row["step"] == 2:
            raise RunStopped


def test_a_rehearsal_goes_as_far_as_its_channel_lets_it_and_keeps_nothing(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    channel = Channel()
    found = requests(scripted_study(phases=[POINT]), tmp_path / "results")["prepare"]
    execute.rehearse(found, channel, device="cpu")
    assert channel.steps == [1, 2]
    assert files_below(tmp_path / "results") == set()
    faulty = scripted_study(phases=[POINT], params={"prepare": {"fault": "raise"}})
    with pytest.raises(ValueError, match="scripted failure at step 1"):
        execute.rehearse(requests(faulty, tmp_path / "results")["prepare"], channel, device="cpu")
    assert files_below(tmp_path / "results") == set()


OF_ITS_OWN = """
import json, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from test_measure import requests
from phasetune import Study
from phasetune.run.measure import measured_step
from phasetune.run.memory import _peak_bytes

study = Study.model_validate_json(sys.stdin.read())
request = requests(study, Path({results!r}))["prepare"]
before = _peak_bytes()
found = measured_step(request, device="cpu", meter=lambda: (_peak_bytes() - before, 1 << 40))
print(json.dumps(found.taken_bytes))
"""


def test_the_peak_of_a_process_of_its_own_is_what_the_step_took(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    study = scripted_study(phases=[POINT], params={"prepare": {"allocated_mb": 200}})
    code = OF_ITS_OWN.format(tests=str(TESTS), results=str(tmp_path / "results"))
    code = code.replace("sys.path[:0] = [", f"sys.path[:0] = [{str(Path(__file__).parent)!r}, ")
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=study.model_dump_json(exclude_unset=True),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert 200 <= json.loads(done.stdout) / 2**20 < 600


TRAINS = """
import torch
import scripted
from phasetune import Stage

Data = scripted.Data
STAGES = (Stage(name="train", params=scripted.Script, function="takes_gpu:train",
                reads=("train",)),)

def train(ctx, params):
    held = torch.zeros(params.allocated_mb << 20, dtype=torch.uint8, device=ctx.device)
    ctx.report({"held": float(held.numel())}, step=1)
    raise AssertionError("a step too much")
"""


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no GPU here")
def test_a_step_on_a_real_gpu_is_measured(scripted_study: StudyMaker, tmp_path: Path) -> None:
    import torch

    (tmp_path / "takes_gpu.py").write_text(TRAINS)
    study = scripted_study(
        workload="takes_gpu",
        import_from=[str(tmp_path), str(TESTS)],
        params={"train": {"allocated_mb": 512}},
        phases=[POINT],
    )
    found = measured_step(requests(study, tmp_path / "results")["train"], device="cuda")
    assert isinstance(found, StepMemory)
    assert 512 <= found.taken_bytes / 2**20 < 4096
    assert found.total_bytes == torch.cuda.get_device_properties(0).total_memory
