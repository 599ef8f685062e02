"""Another process that drives a study's lock, and what this one sees of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from phasetune.store.driver_lock import driver_says, driving
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths

DRIVER = """
import os, subprocess, sys
from pathlib import Path
from phasetune.store import lock_file
from phasetune.store.driver_lock import driving
from phasetune.store.paths import ResultsPaths

def without_locks(*_):
    raise OSError(int(sys.argv[2]), "no locks")

def fork():
    ready, is_ready = os.pipe()
    if os.fork() == 0:
        lock.close()
        os.write(is_ready, b".")
        sys.stdin.read()
        os._exit(0)
    os.read(ready, 1)

def start():
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    subprocess.Popen(waits, close_fds=False)

if sys.argv[2] != "0":
    lock_file.fcntl.flock = without_locks
with driving(ResultsPaths(Path(sys.argv[1])), "study") as lock:
    lock.hold()
    {"has none": lambda: None, "forks": fork, "starts a program": start}[sys.argv[3]]()
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def driver(
    paths: ResultsPaths, *, without_locks: int = 0, child: str = "has none"
) -> "Iterator[subprocess.Popen[str]]":
    """Another process that drives the study until its input ends, as a child of it lives."""
    arguments = [str(paths.root), str(without_locks), child]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def drives(paths: ResultsPaths) -> Owner | None:
    """Drives the study for a moment; returns who left it behind."""
    with driving(paths, "study") as lock:
        lock.hold()
        assert owner_in(paths) == replace(Owner.of_this_process(), since=since(paths))
        return lock.left_by


def driven_once(root: Path) -> ResultsPaths:
    """A results root in which the study was driven to its end."""
    paths = ResultsPaths(root)
    with driving(paths, "study") as lock:
        lock.hold()
    return paths


def owner_in(paths: ResultsPaths) -> Owner | None:
    """Whom the study's lock names."""
    return Owner.of_content(driver_says(paths.study("study")))


def since(paths: ResultsPaths) -> str:
    """Since when the study's lock is held, as its holder says."""
    owner = owner_in(paths)
    assert owner is not None
    return owner.since


def stop(process: "subprocess.Popen[str]") -> None:
    """Stop a process as a paused machine would, and wait until it is."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
