"""Storage that machines share, as far as one machine can have it: a folder that is mounted from
elsewhere by what the mounts say, and processes that take themselves for those of another machine.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from phasetune.store import file_systems, lease, lease_places
from phasetune.store.durable import write_text
from phasetune.store.paths import ResultsPaths, results_at

PRELUDE = """
import sys
from pathlib import Path
from phasetune.store import file_systems, lease, lease_places, owner
file_systems.MOUNTS = Path(sys.argv[1])
lease.RENEW_SECONDS, lease.WATCH_SECONDS = float(sys.argv[2]), float(sys.argv[3])
lease.POLL_SECONDS = lease_places.SETTLE_SECONDS = 0.01
if sys.argv[4]:
    owner._boot = lambda: sys.argv[4]
from phasetune.errors import StoreError
from phasetune.store.driver_lock import driving
from phasetune.store.lock import exclusively, in_use
from phasetune.store.paths import results_at
paths = results_at(sys.argv[5])
"""

DRIVES = (
    PRELUDE
    + """
with driving(paths, "study") as lock:
    lock.hold()
    print("held", flush=True)
    for line in sys.stdin:
        try:
            lock.hold()
            print("held", flush=True)
        except StoreError as error:
            print(error, flush=True)
"""
)

USES = (
    PRELUDE
    + """
with {"in_use": in_use, "exclusively": exclusively}[sys.argv[6]](paths) as use:
    (use.hold if sys.argv[6] == "in_use" else use)()
    print("held", flush=True)
    sys.stdin.read()
"""
)


def mount(monkeypatch: pytest.MonkeyPatch, folder: Path, *, below: Path) -> Path:
    """Make a folder a mounted one, by what the mounts say, in a file below another folder."""
    mounts = below / "mountinfo"
    mounts.write_text(
        "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
        f"36 27 0:45 / {folder} rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2\n"
    )
    monkeypatch.setattr(file_systems, "MOUNTS", mounts)
    return mounts


def hurry(monkeypatch: pytest.MonkeyPatch, *, renew_seconds: float = 0.02) -> None:
    """Look often and renew often; who is watched still has all the time to renew."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", renew_seconds)
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(lease_places, "SETTLE_SECONDS", 0.01)


@pytest.fixture
def mounted_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A results root on a network file system."""
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path / "machine"))
    hurry(monkeypatch)
    folder = tmp_path / "shared/results"
    folder.mkdir(parents=True)
    mount(monkeypatch, tmp_path / "shared", below=tmp_path)
    return str(folder)


@pytest.fixture(params=["network file system", "URI"])
def shared_results(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A results root on storage that machines share, as people type it."""
    if request.param == "URI":
        hurry(monkeypatch, renew_seconds=lease.RENEW_SECONDS)
        return f"{request.getfixturevalue('bucket')}/results"
    return str(request.getfixturevalue("mounted_results"))


@contextmanager
def process(
    script: str,
    results: str,
    *arguments: str,
    boot: str = "",
    renew_seconds: float = 0.02,
) -> "Iterator[subprocess.Popen[Any]]":
    """Another process, of another machine where `boot` names one, that holds what it is told to."""
    seconds = [str(renew_seconds), str(lease.WATCH_SECONDS)]
    mounts = str(file_systems.MOUNTS)
    started = subprocess.Popen(
        [sys.executable, "-c", script, mounts, *seconds, boot, results, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PHASETUNE_CACHE": os.environ["PHASETUNE_CACHE"] + boot},
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "held\n"
        yield started
    finally:
        started.kill()
        started.communicate()


def ask(driver: "subprocess.Popen[Any]") -> str:
    """What a driver says of its lock when it is asked whether it holds it."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write("\n")
    driver.stdin.flush()
    return str(driver.stdout.readline()).strip()


def end(holder: "subprocess.Popen[Any]") -> None:
    """Let it end in good order."""
    holder.communicate("")
    assert holder.returncode == 0


def known_results(results: str) -> ResultsPaths:
    """The results root, in which a study was run."""
    paths = results_at(results)
    write_text(paths.study("study").study, "name: study\n")
    paths.store.mkdir(exist_ok=True)
    return paths
