"""`phasetune run --detach`: the study goes on when its shell is gone."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Said, StudyWriter, command, phasetune
from other_driver import driver
from phasetune.store.paths import ResultsPaths
from scripted import PAUSE

ONE = [{"name": "one", "points": [{}]}]
NONE = {"refit": False, "test": False}
ARGUMENTS = ("run", "study.yaml", "--in-process", "--detach")
TO_MASK = "description=token=abcdefghij12"
LONGEST_SECONDS = 60.0


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def log(folder: Path) -> str:
    return (folder / "results/scripted/logs/driver.log").read_text()


@pytest.fixture
def detached(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command with `--detach`, as if this process were it: only what it starts is another."""

    def run(*arguments: str) -> Said:
        given = [*ARGUMENTS, *arguments]
        monkeypatch.setattr(sys, "argv", ["phasetune", *given])
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", "phasetune", *given])
        return phasetune(*given)

    return run


def test_it_returns_with_three_lines_that_work(
    written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAUSE, "0.2")
    written(phases=ONE, params={"train": {"steps": 30}})
    said = command(*ARGUMENTS, folder=folder)
    assert (said.code, said.err) == (0, "")
    first, watch, stop = said.out.splitlines()
    found = re.fullmatch(r"Study scripted runs on, as process (\d+); log: (\S+)", first)
    assert found is not None
    assert found[2] == "results/scripted/logs/driver.log"
    pid = int(found[1])
    try:
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)
        assert Path(f"/proc/{pid}/cwd").readlink() == folder
        shown = shlex.split(watch.removeprefix("Watch it: phasetune "))
        assert shown == ["status", "results", "--study", "scripted", "--watch"]
        assert f"pid {pid}" in phasetune(*shown[:-1]).words
        wait_until(lambda: "done    1/" in log(folder))
        stopped = phasetune(*shlex.split(stop.removeprefix("Stop it:  phasetune ")))
        assert stopped.code == 0, stopped.err
        wait_until(lambda: not sessions(folder))
        assert "interrupted (SIGTERM)" in log(folder)
    finally:
        kill(pid)


def kill(pid: int) -> None:
    """A process that is no child of this one; for what a failed test leaves."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("end", ["the terminal is closed", "SIGKILL, and SIGHUP to what is left"])
def test_the_study_outlives_its_shell_while_that_still_waits(
    end: str, written: StudyWriter, folder: Path
) -> None:
    written(phases=ONE, final=NONE)
    terminal, controlled = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, *ARGUMENTS],
        cwd=folder,
        env={**os.environ, PAUSE: "0.2"},
        stdin=controlled,
        stdout=controlled,
        stderr=controlled,
        start_new_session=True,
    )
    os.close(controlled)
    wait_until(lambda: len(sessions(folder)) == 2)
    if end != "the terminal is closed":
        os.killpg(shell.pid, signal.SIGKILL)
        for pid in sessions(folder):
            os.kill(pid, signal.SIGHUP)
    os.close(terminal)
    shell.wait(LONGEST_SECONDS)
    assert not (folder / "results/scripted/report.json").exists()
    wait_until((folder / "results/scripted/report.json").exists)
    wait_until(lambda: not sessions(folder))
    assert "results/scripted/report.json" in log(folder)
    assert "interrupted" not in log(folder)


SHELL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from phasetune.cli.main import main
sys.orig_argv[1:] = ["-m", "phasetune", *sys.argv[1:]]
main()
"""


def sessions(folder: Path) -> list[int]:
    """Sessions of living commands that work in this folder."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == folder and b"--in-process" in (
                path / "cmdline"
            ).read_bytes():
                found.add(os.getsid(int(path.name)))
        except (OSError, ProcessLookupError):
            continue
    return sorted(found)


@pytest.mark.parametrize(
    ("arguments", "words", "leaves"),
    [
        (["params.train.nope=3"], "nope", False),
        (["data.missing=train"], "no such file: train.npz", False),
        (["--phase", "nope", TO_MASK], "there is no phase 'nope'", True),
    ],
    ids=["a parameter", "data", "a phase"],
)
def test_what_is_refused_is_refused_as_without_it(
    arguments: list[str],
    words: str,
    leaves: bool,
    written: StudyWriter,
    folder: Path,
    detached: Callable[..., Said],
) -> None:
    """What this process can know leaves nothing; what the other one refuses, its log."""
    written(phases=ONE)
    plain = phasetune(*ARGUMENTS[:-1], *arguments)
    assert (plain.code, words in plain.err) == (2, True)
    said = detached(*arguments)
    assert (said.code, said.out, said.err) == (2, "", plain.err)
    assert (folder / "results").exists() is leaves
    if leaves:
        first, *others = log(folder).splitlines(keepends=True)
        assert others == [plain.err]
        assert "'description=token=***'" in first


def test_a_study_that_is_driven_is_refused(
    written: StudyWriter, folder: Path, detached: Callable[..., Said]
) -> None:
    written(name="study", phases=ONE)
    with driver(ResultsPaths(folder / "results")) as process:
        said = detached()
    assert (said.code, said.out) == (2, "")
    assert f"another driver works on {folder}/results/study: pid {process.pid} on " in said.err
    assert not (folder / "results/study/logs").exists()


def test_a_study_that_is_done_says_so_in_its_log(
    written: StudyWriter, folder: Path, detached: Callable[..., Said]
) -> None:
    written(phases=ONE, final=NONE)
    phasetune(*ARGUMENTS[:-1])
    assert detached().code == 0
    wait_until(lambda: not sessions(folder))
    assert "Nothing to do: all" in log(folder)
