"""Who comes after a driver that was killed waits for its workers, which are real processes here."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.store import workers as module
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.paths import StudyPaths
from phasetune.store.workers import count_as_worker, wait_for_workers, workers

WORKER = """
import sys
from pathlib import Path
from phasetune.store.paths import StudyPaths
from phasetune.store.workers import count_as_worker
for _ in range(2):
    count_as_worker(StudyPaths(Path(sys.argv[1])))
print("counted", flush=True)
sys.stdin.read()
"""

Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path)


@pytest.fixture
def start(study: StudyPaths) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def go() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(study.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


def never() -> bool:
    return False


def test_nobody_is_waited_for_where_nobody_works(study: StudyPaths) -> None:
    told: list[str] = []
    wait_for_workers(study, tell=told.append, is_over=never)
    assert (told, list(study.root.iterdir())) == ([], [])


def test_workers_are_waited_for_and_named(
    study: StudyPaths, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)
    processes = [start(), start()]
    pids = sorted(process.pid for process in processes)
    assert workers(study) == pids
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        for process in processes:
            process.kill()
            process.wait()

    wait_for_workers(study, tell=tell, is_over=never)
    shown = f"2 workers (pid {pids[0]}, {pids[1]})"
    assert told == [f"waiting for {shown} of an earlier command to end"]
    assert workers(study) == []


def test_workers_that_do_not_end_are_an_error_that_names_them(
    study: StudyPaths, start: Start
) -> None:
    pid = start().pid
    way_out = f"1 worker (pid {pid}) of an earlier command did not end within 0 s"
    with pytest.raises(StoreError, match=re.escape(way_out)) as caught:
        wait_for_workers(study, tell=lambda _: None, is_over=never, wait_seconds=0.0)
    assert f"end them with `kill {pid}`, and run again" in str(caught.value)


def test_whoever_asks_for_an_end_does_not_wait(study: StudyPaths, start: Start) -> None:
    start()
    wait_for_workers(study, tell=lambda _: None, is_over=lambda: True, wait_seconds=0.0)


def test_a_program_that_a_worker_started_is_no_worker(study: StudyPaths) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(study.root)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    child.wait()
    try:
        wait_for_workers(study, tell=lambda _: None, is_over=never, wait_seconds=0.0)
    finally:
        subprocess.run(["kill", str(pid)], check=False)  # noqa: S607
        child.stdout.close()


CHILD = """
import subprocess, sys
from pathlib import Path
from phasetune.store.paths import StudyPaths
from phasetune.store.workers import count_as_worker
count_as_worker(StudyPaths(Path(sys.argv[1])))
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid, flush=True)
"""


def test_without_locks_nobody_waits(
    study: StudyPaths, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()

    def refuse(self: LockFile, *, shared: bool) -> None:
        raise NoLocksError

    monkeypatch.setattr(LockFile, "lock", refuse)
    count_as_worker(study)
    wait_for_workers(study, tell=lambda _: None, is_over=never, wait_seconds=0.0)


def test_a_lock_that_is_no_file_is_an_error(study: StudyPaths) -> None:
    (study.root / "workers.lock").symlink_to("elsewhere")
    (study.root / "elsewhere").touch()
    with pytest.raises(StoreError, match=r"workers\.lock can't be locked: "):
        wait_for_workers(study, tell=lambda _: None, is_over=never)


def test_the_probe_does_not_keep_the_lock(study: StudyPaths, start: Start) -> None:
    start().kill()
    wait_for_workers(study, tell=lambda _: None, is_over=never)
    with closing(LockFile(study.root / "workers.lock", writes=False)) as file:
        file.lock(shared=True)
