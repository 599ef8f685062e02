"""What a cluster leaves behind is ended when its driver is gone; with plain processes here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select

import pytest

from phasetune.run.ray.guardian import GRACE_SECONDS, started_by_raylet
from phasetune.run.ray.temporary import temporary_folder

DRIVER = """
import os, subprocess, sys
from pathlib import Path
from phasetune.run.ray.guardian import guarded
temporary = Path(sys.argv[1])
logs = temporary / f"session_2026_{os.getpid()}" / "logs"
logs.mkdir(parents=True)
log = (logs / "raylet.out").open("w")
def start(output):
    return subprocess.Popen(["sleep", "60"], stdout=output).pid
with guarded(temporary):
    with (logs / "raylet.out").open() as reading:
        reader = subprocess.Popen(["sleep", "60"], stdin=reading, stdout=subprocess.DEVNULL).pid
    print(start(log), start((logs / "python-core-driver.log").open("w")), reader, flush=True)
    log.close()
    sys.stdin.read()
"""


@pytest.fixture(params=["killed", "ended"])
def pids(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[int]]:
    """Of what writes a raylet's log, another log, and reads the first, when the driver is gone."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        found = [int(pid) for pid in driver.stdout.readline().split()]
        assert started_by_raylet(tmp_path, driver.pid) == found[:1]
        assert started_by_raylet(tmp_path, driver.pid + 1) == []
        if request.param == "killed":
            driver.kill()
    yield found
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_the_raylet_started_is_ended_and_nothing_else(pids: list[int]) -> None:
    left, *others = pids
    descriptor = os.pidfd_open(left)
    try:
        ended, _, _ = select([descriptor], [], [], GRACE_SECONDS + 30.0)
    finally:
        os.close(descriptor)
    assert ended
    for other in others:
        os.kill(other, 0)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_all_that_a_raylet_starts_is_known_by_its_log() -> None:
    from ray._private import worker

    assert worker._global_node is not None
    raylet = worker._global_node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    assert len(children) >= 2  # its agents
    found = started_by_raylet(temporary_folder().resolve(), os.getpid())
    assert {raylet, *map(int, children)} <= set(found)
    assert os.getpid() not in found
