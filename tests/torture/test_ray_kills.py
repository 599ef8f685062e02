"""Processes of a private Ray cluster that are killed while a study runs: workers, raylet, GCS."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torture.victim import LONGEST_WAIT_SECONDS, STUDY, Victim, alive, wait_until

pytestmark = [pytest.mark.torture, pytest.mark.ray]

KILLS = 50
ENDED_BY_RAY = "Failed to register worker to Raylet"  # its core ends the process, with a line
FORGIVING = {**STUDY, "max_failures": 100}
RAY = ("--max-concurrent", "2")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    victim = Victim(folder=folder, study=FORGIVING)
    assert victim.finish() == 0, victim.output()
    return victim.report.read_bytes()


def of_cluster(victim: Victim, *names: str) -> list[int]:
    """Process ids of its last command whose command lines hold one of the names."""
    last = [next(reversed(victim.marks))]
    found = [process.partition(" ") for _, process in alive(last)]
    return [int(pid) for pid, _, command in found if any(name in command for name in names)]


def kill_workers(
    victim: Victim, process: subprocess.Popen[str], draw: random.Random
) -> Iterator[float]:
    """Kill one worker after the other at random instants until the command ends."""
    while process.poll() is None:
        time.sleep(draw.uniform(0.2, 3.0))
        for worker in draw.sample(found := of_cluster(victim, "ray::Implicit"), min(1, len(found))):
            os.kill(worker, signal.SIGKILL)
            yield time.monotonic()


def test_workers_killed_at_random_instants(tmp_path: Path, expected: bytes) -> None:
    hit, study, told = 0, 0, 0
    while hit < KILLS:
        victim = Victim(
            folder=tmp_path / str(study), arguments=RAY, study=FORGIVING, pause_seconds=0.1
        )
        process = victim.start()
        hit += len(list(kill_workers(victim, process, random.Random(study))))  # noqa: S311
        assert process.returncode == 0, victim.output()
        assert victim.report.read_bytes() == expected
        told += victim.output().count("it is tried again")
        study += 1
    assert told > KILLS / 2  # others hit a worker that had nothing to do


@pytest.mark.parametrize("name", ["gcs_server", "raylet/raylet"])
@pytest.mark.parametrize("seed", range(5))
def test_what_holds_the_cluster_together_is_killed(
    name: str, seed: int, tmp_path: Path, expected: bytes
) -> None:
    victim = Victim(folder=tmp_path, arguments=RAY, study=FORGIVING)
    process = victim.start()
    wait_until(lambda: of_cluster(victim, name), process)
    time.sleep(random.Random(seed).uniform(0.0, 15.0))  # noqa: S311 - an instant, no secret
    for pid in of_cluster(victim, name):
        os.kill(pid, signal.SIGKILL)
    code = process.wait(LONGEST_WAIT_SECONDS)
    victim.end(process)
    assert victim.lingering() == []
    assert code == 0 or "error: " in victim.output() or ENDED_BY_RAY in victim.output()
    assert "Traceback" not in victim.output()
    stored, before = victim.stored(), len(victim.steps())
    assert victim.finish() == 0, victim.output()
    assert victim.report.read_bytes() == expected
    assert not set(stored) & set(victim.steps()[before:])


def test_what_tune_keeps_has_no_say(tmp_path: Path, expected: bytes) -> None:
    """Its state is torn, emptied, or of another time; the store knows what is done."""
    victim = Victim(folder=tmp_path, arguments=RAY, study=FORGIVING)
    process = victim.start()
    wait_until(lambda: len(victim.steps()) > 60, process)
    assert victim.end(process)
    stored, before = victim.stored(), len(victim.steps())
    files = [
        path
        for name in ("experiment_state-*", "tuner.pkl", "trainable.pkl", "params.*", "result.json")
        for path in victim.results.glob(f"torture/phases/*/attempts/**/{name}")
    ]
    assert files
    for number, path in enumerate(files):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if number % 2 else 0])
        os.utime(path, (2**31, 2**31))
    assert victim.finish() == 0, victim.output()
    assert victim.report.read_bytes() == expected
    assert not set(stored) & set(victim.steps()[before:])
    assert victim.lingering() == []
