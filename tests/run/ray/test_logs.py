"""What Ray prints and warns of, and what runs print in its workers."""

# ruff: noqa: T201 - to print is what is tested

import logging
import re
import sys
import threading
from pathlib import Path

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune.api import run_study
from phasetune.run.events import Noticed, RunFailed, RunStarted
from phasetune.run.ray.terminal import Terminal, worth_telling

# The literal texts of Ray 2.60, from the files that are named; numbers are made up.
TOLD = {
    "tune/execution/insufficient_resources_manager": (
        "Ignore this message if the cluster is autoscaling. No trial is running and no new trial "
        "has been started within the last 60 seconds. This could be due to the cluster not having "
        "enough resources available. You asked for 1.0 CPUs and 2.0 GPUs per trial, but the "
        "cluster only has 4.0 CPUs and 0 GPUs available. "
    ),
    "_private/services, /dev/shm": (
        "WARNING: The object store is using /tmp/ray instead of /dev/shm because /dev/shm has only "
        "67108864 bytes available. This will harm performance! You may be able to free up space by "
        "deleting files in /dev/shm. "
    ),
    "_private/worker": (
        "File descriptor limit 1024 is too low for production servers and may result in connection "
        "errors. At least 8192 is recommended. --- Fix with 'ulimit -n 8192'"
    ),
    "autoscaler/_private/monitor": (
        "The autoscaler failed with the following error:\nTraceback (most recent call last):\n ..."
    ),
    "autoscaler/_private/autoscaler": (
        "Error: No available node types can fulfill resource request {'GPU': 8.0}. Add suitable "
        "node types to this cluster to resolve this issue."
    ),
    "gcs_server": (
        "The node with node id: ab and address: 10.0.0.2 and node name: 10.0.0.2 has been marked "
        "dead because the detector has missed too many heartbeats from it."
    ),
    "raylet, memory": "2 worker(s) were killed due to the node running low on memory. ",
    "raylet, disk": (
        "/scratch/ray/session is over 95% full, available space: 1.2 GB; capacity: 100 GB. Object "
        "creation will fail if spilling is required."
    ),
    "tune/utils/util": (
        "The `on_step_end` operation took 61.123 s, which may be a performance bottleneck."
    ),
    "train/_internal/storage": "Caught exception when creating directory at (local, /results):",
    "unknown": "something that nobody thought of",
}
NOISE = {
    "tune/tune, signal": (
        "Stop signal received (e.g. via SIGINT/Ctrl+C), ending Ray Tune run. This will try to "
        "checkpoint the experiment state one last time. "
    ),
    "tune/tune, interrupted": (
        "Experiment has been interrupted, but the most recent state was saved.\nResume experiment "
        "with: Tuner.restore(...)"
    ),
    "tune/tune, incomplete": "Trials did not complete: [train-0123]",
    "tune/tune, GPUs": (
        "Tune detects GPUs, but no trials are using GPUs. To enable trials to use GPUs, wrap "
        "`train_func` with `tune.with_resources(train_func, resources_per_trial={'gpu': 1})`"
    ),
    "tune/execution/tune_controller, failed": "Trial task failed for trial train-0123",
    "tune/analysis, after an interruption": "Failed to fetch metrics for 10 trial(s):",
    "tune/execution/tune_controller, stopping": "Trial train-0123: Error stopping trial.",
    "tune/execution/tune_controller, pending": (
        "The maximum number of pending trials has been automatically set to the number of "
        "available cluster CPUs, which is high (600 CPUs/pending trials). "
    ),
    "tune/execution/experiment_state": (
        "Experiment state snapshotting has been triggered multiple times in the last 5.0 seconds "
        "and may become a bottleneck. "
    ),
    "tune/utils/callback": (
        "The TensorboardX logger cannot be instantiated because either TensorboardX or one of it's "
        "dependencies is not installed."
    ),
    "_private/worker, deprecated": (
        "`driver_object_store_memory` is deprecated and will be removed in the future."
    ),
    "_private/worker, signals": (
        "SIGTERM handler is not set because current thread is not the main thread."
    ),
    "_private/worker, lost": "listen_error_messages: failed to connect to all addresses",
    "_private/utils": (
        "Detecting docker specified CPUs. In previous versions of Ray, CPU detection in containers "
        "was incorrect. Set the env var: `RAY_DISABLE_DOCKER_CPU_WARNING=1` to mute this warning."
    ),
    "raylet": (
        "A worker died or was killed while executing a task by an unexpected system error. To "
        "troubleshoot the problem, check the logs for the dead worker."
    ),
    "nothing": "",
}


@pytest.mark.parametrize("text", TOLD.values(), ids=TOLD)
def test_what_a_person_should_know_is_told_by_its_first_line(text: str) -> None:
    told = worth_telling(text)
    assert told is not None
    assert len(told) <= 300
    assert text.removeprefix("WARNING: ").startswith(told.removesuffix("…"))
    assert "\n" not in told


@pytest.mark.parametrize("text", NOISE.values(), ids=NOISE)
def test_known_noise_is_not_told(text: str) -> None:
    assert worth_telling(text) is None


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "logs" / "ray.log")


def messages(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed)]


@pytest.mark.parametrize("name", ["ray", "ray.tune.execution", "ray._private.services"])
def test_warnings_are_told_once_and_what_is_less_is_not(
    terminal: Terminal,
    heard: Heard,
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.tells(heard)
    logger, levels = logging.getLogger(name), logging.getLogger("ray").level
    for _ in range(2):
        with terminal.quietly():
            logger.info("by the way")
            logger.warning("the %s is full", "disk")
            logger.error("the disk is on fire\nTraceback")
            logger.error("Trials did not complete: []")
            logger.warning("Experiment state snapshotting has been triggered multiple times")
    assert messages(heard) == ["Ray: the disk is full", "Ray: the disk is on fire"]
    log = (tmp_path / "logs" / "ray.log").read_text()
    assert log.count("the disk is full") == log.count("Trials did not complete") == 2
    assert "by the way" not in log
    assert "snapshotting" not in log
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("ray").level == levels


def test_ray_may_silence_itself_while_it_starts(terminal: Terminal, heard: Heard) -> None:
    terminal.tells(heard)
    with terminal.quietly():
        logging.getLogger("ray").setLevel(logging.ERROR)  # as `ray.init` does
        logging.getLogger("ray._private.services").warning("the object store is on the disk")
    assert messages(heard) == ["Ray: the object store is on the disk"]


def test_what_is_said_before_anybody_listens_is_told_later(
    terminal: Terminal, heard: Heard
) -> None:
    with terminal.quietly():
        logging.getLogger("ray").warning("early")
    assert heard.events == []
    terminal.tells(heard)
    terminal.tells(heard)
    assert messages(heard) == ["Ray: early"]


def test_what_raylet_has_ray_print_is_told_and_boxes_are_not(
    terminal: Terminal, heard: Heard, tmp_path: Path
) -> None:
    terminal.tells(heard)
    with terminal.quietly():
        print("╭──────────╮")
        print("\x1b[33m(raylet)\x1b[0m The node has been marked dead")
        print("(raylet, ip=10.0.0.2) worker(s) were killed")
        print("\x1b[33m(autoscaler +5s)\x1b[0m Error: No available node types")
        print("(train pid=7) my own line")
        print("\x1b[33m(raylet)\x1b[0m A worker died or was killed while executing a task")
    assert messages(heard) == [
        "Ray: The node has been marked dead",
        "Ray: worker(s) were killed",
        "Ray: Error: No available node types",
    ]
    assert len((tmp_path / "logs" / "ray.log").read_text().splitlines()) == 6


def test_a_listener_sees_the_terminal_from_whatever_thread_ray_logs(terminal: Terminal) -> None:
    driver, seen = sys.stdout, list[bool]()

    class Looks:
        def notify(self, event: object) -> None:
            seen.append(sys.stdout is driver)
            raise ValueError("a listener that is broken ends nothing of Ray's")

    terminal.tells(Looks())
    with terminal.quietly():
        threads = [
            threading.Thread(target=logging.getLogger("ray").warning, args=(f"number {i}",))
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sys.stdout is not driver
    assert seen == [True] * 8
    assert sys.stdout is driver


def test_a_full_disk_ends_nothing_that_ray_prints(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "ray.log").symlink_to("/dev/full")
    driver = sys.stdout
    with terminal.quietly():
        for _ in range(1000):
            print("a line of Ray's")
        logging.getLogger("ray").warning("and a warning")
    assert sys.stdout is driver


PRINTS = """
import logging, os, signal, subprocess, sys
import scripted
from phasetune import Stage
Data = scripted.Data
STAGES = (Stage(name="train", params=scripted.Script, function="prints_in_ray:train",
                reads=("train",)),)

def train(ctx, params):
    if params.value != 0.1:
        print(f"value {params.value}")
        logging.getLogger("mine").warning("logged")
        subprocess.run(["echo", "of a child"])
        os.write(2, b"last words\\n")
    return scripted.train(ctx, params)
"""


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_each_run_in_a_worker_has_its_own_log(
    tmp_path: Path, scripted_study: StudyMaker, heard: Heard
) -> None:
    (tmp_path / "prints_in_ray.py").write_text(PRINTS)
    points = [
        {"train.value": 0.1},
        {"train.value": 0.3},
        {"train.value": 0.6, "train.fault": "raise"},
        {"train.value": 0.7, "train.fault": "kill"},
    ]
    study = scripted_study(
        workload="prints_in_ray",
        import_from=[str(tmp_path), str(TESTS)],
        constraints=[],
        phases=[{"name": "one", "points": points}],
        max_failures=1,
        max_concurrent_trials=1,
        final={"refit": False, "test": False},
    )
    outcome = run_study(study, results=tmp_path / "results", listener=heard)
    said = ["logged", "of a child", "last words"]
    assert {event.failure.cause: list(event.tail) for event in heard.of(RunFailed)} == {
        "error": ["value 0.6", *said],
        "worker_died": ["value 0.7", *said],
    }
    logs = [path.read_text().splitlines() for path in outcome.paths.root.glob("logs/runs/*.log")]
    printed = [[line for line in log if not line.startswith("=== ")] for log in logs]
    dead = ["value 0.7", *said] * 2
    assert sorted(printed) == [["value 0.3", *said], ["value 0.6", *said], dead]
    assert len({event.key for event in heard.of(RunStarted)}) == 4
    left = {path.name for path in outcome.paths.root.glob("phases/*/attempts/*/*/*")}
    assert not {name for name in left if re.fullmatch("stdout|stderr", name)}
    assert not [message for message in messages(heard) if message.startswith("Ray: ")]
