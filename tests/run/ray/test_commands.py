"""Whole commands in processes of their own: signals, and one or four (logical) GPUs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, StudyMaker
from phasetune.api import run_study
from phasetune.study.dump import yaml_text

pytestmark = pytest.mark.ray

SECONDS = 90.0


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "phasetune", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """Tests may run in the background of a shell, which lets its jobs ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive_in_session(session: int) -> list[str]:
    """Processes of a session that still run, zombies left out."""
    listed = subprocess.run(
        ["/bin/ps", "-o", "stat=,args=", "-s", str(session)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in listed.stdout.splitlines() if line and not line.startswith("Z")]


def signal_group(process: "subprocess.Popen[str]", signum: int) -> None:
    """As a terminal's Ctrl-C, or `timeout`, does."""
    os.killpg(process.pid, signum)


def signal_every_process(process: "subprocess.Popen[str]", signum: int) -> None:
    """As a job manager does, to those of Ray as well."""
    for pid in (int(path.name) for path in Path("/proc").glob("[0-9]*")):
        with suppress(ProcessLookupError):
            if os.getsid(pid) == process.pid:
                os.kill(pid, signum)


@pytest.mark.parametrize(
    ("signum", "signals", "code"),
    [
        (signal.SIGINT, signal_group, 130),
        (signal.SIGTERM, signal_group, 143),
        pytest.param(signal.SIGTERM, signal_every_process, 143, marks=pytest.mark.torture),
    ],
)
def test_a_signal_stops_at_a_checkpoint_and_the_same_command_goes_on(
    scripted_study: StudyMaker,
    tmp_path: Path,
    signum: int,
    signals: Callable[["subprocess.Popen[str]", int], None],
    code: int,
) -> None:
    params = {"train": {"steps": 12, "seconds": 0.25, "other": 0.5}}
    study = scripted_study(params=params, phases=[{"name": "one", "points": [{}]}])
    content = study.model_dump(mode="json", exclude_unset=True)
    (tmp_path / "study.yaml").write_text(yaml_text(content))
    process = start("run", "study.yaml", folder=tmp_path)
    wait_for("results/scripted/phases/one/attempts/*/train-*/checkpoint_*", tmp_path, process)
    signals(process, signum)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, (out, err)
    assert "nothing was decided since. Go on with:" in err
    assert err.strip().endswith("-m phasetune run study.yaml")
    assert not (tmp_path / "results/scripted/phases/one/decision.json").exists()
    wait_for_silence(process.pid)

    process = start("run", "study.yaml", folder=tmp_path)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, (out, err)
    assert "study scripted goes on: what is stored is not run again" in out
    whole = run_study(study, results=tmp_path / "whole", in_process=True)
    assert chain(tmp_path / "results/scripted") == chain(whole.paths.root)
    resumed = [
        json.loads(path.read_text())["provenance"]["resumed"]
        for path in (tmp_path / "results/store/train").glob("*/manifest.json")
    ]
    assert sorted(resumed) == [False, True]


def test_a_signal_while_runs_wait_for_their_turn(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    params = {"train": {"steps": 12, "seconds": 0.25}}
    values = [number / 100 for number in range(4 * (os.cpu_count() or 1))]
    phases = [{"name": "one", "grid": {"train.value": values}}]
    study = scripted_study(params=params, phases=phases)
    content = study.model_dump(mode="json", exclude_unset=True)
    (tmp_path / "study.yaml").write_text(yaml_text(content))
    process = start("run", "study.yaml", folder=tmp_path)
    wait_for("results/scripted/phases/one/attempts/*/train-*/checkpoint_*", tmp_path, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 143, (out, err)
    assert "nothing was decided since. Go on with:" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "killed", ["driver", "gcs_server", pytest.param("raylet", marks=pytest.mark.torture)]
)
def test_what_a_kill_leaves_ends_soon_and_the_same_command_goes_on(
    scripted_study: StudyMaker, tmp_path: Path, killed: str
) -> None:
    params = {"train": {"steps": 12, "seconds": 0.25}}
    once = {"phases": [{"name": "one", "points": [{}]}], "final": {"refit": False, "test": False}}
    study = scripted_study(params=params, **once)
    content = study.model_dump(mode="json", exclude_unset=True)
    (tmp_path / "study.yaml").write_text(yaml_text(content))
    process = start("run", "study.yaml", folder=tmp_path)
    wait_for("results/scripted/phases/one/attempts/*/train-*/checkpoint_*", tmp_path, process)
    os.kill(process.pid if killed == "driver" else child_named(killed, process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    if killed == "driver":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 2, err
        assert f"error: Ray's {killed} ended (exit code -9), and with it the cluster" in err
        assert "Traceback" not in err
    wait_for_silence(process.pid)

    process = start("run", "study.yaml", folder=tmp_path)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    whole = run_study(study, results=tmp_path / "whole", in_process=True)
    assert chain(tmp_path / "results/scripted") == chain(whole.paths.root)


def child_named(name: str, parent: int) -> int:
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            return int(pid)
    raise AssertionError(f"{parent} has no child {name}")


def wait_for_silence(session: int) -> None:
    deadline = time.monotonic() + 30
    while alive_in_session(session):
        assert time.monotonic() < deadline, alive_in_session(session)
        time.sleep(0.2)


def chain(study: Path) -> Any:
    decision = json.loads((study / "phases/one/decision.json").read_text())
    return decision["trials"][0]["metrics"]["chain"]


PARALLEL = """
import json, sys
import ray
from phasetune.run.ray.session import ENVIRONMENT, environment
from phasetune import Study, run_study

gpus, tests, results = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with environment(ENVIRONMENT):
    ray.init(address="local", num_cpus=4, num_gpus=gpus, include_dashboard=False,
             log_to_driver=False)
    outcome = run_study(Study.model_validate(json.loads(sys.argv[4])), results=results)
    ray.shutdown()
print(json.dumps(outcome.decisions["value"]))
"""


def test_one_run_at_a_time_on_one_gpu_and_four_on_four(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    phases = [{"name": "value", "grid": {"train.value": [0.1, 0.2, 0.3, 0.4]}}]
    params = {"train": {"seconds": 1.5, "steps": 2}, "test": {"other": 1.0}}
    study = scripted_study(phases=phases, params=params, final={"refit": False, "test": False})
    content = json.dumps(study.model_dump(mode="json", exclude_unset=True))
    found = {gpus: _decision(gpus, content, tmp_path) for gpus in (1, 4)}
    assert _values(found[1], "device") == [0.0, 0.0, 0.0, 0.0]
    assert sorted(_values(found[4], "device")) == [0.0, 1.0, 2.0, 3.0]
    alone, together = (sorted(_values(found[gpus], "ended")) for gpus in (1, 4))
    assert all(later - earlier > 2.9 for earlier, later in pairwise(alone))
    # one after the other, the last of four runs of 3 s ends 9 s after the first
    assert max(together) - min(together) < 8.9
    for metric in ("score", "chain"):
        assert _values(found[1], metric) == _values(found[4], metric)


def _decision(gpus: int, content: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PARALLEL, str(gpus), str(TESTS), str(folder / str(gpus)), content],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _values(decision: dict[str, Any], metric: str) -> list[float]:
    return [trial["metrics"][metric]["mean"] for trial in decision["trials"]]
