"""Signals to a whole command: once, twice, and while it writes what a study leaves."""

import os
import pty
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from torture.victim import STUDY, Victim, wait_until

BACKENDS = [
    pytest.param(("--in-process",), id="in-process"),
    pytest.param(("--max-concurrent", "2"), marks=[pytest.mark.ray, pytest.mark.torture], id="ray"),
]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
GRACE_SECONDS = 20.0


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    victim = Victim(folder=tmp_path_factory.mktemp("undisturbed"))
    assert victim.finish() == 0, victim.output()
    return victim.report.read_bytes()


def goes_on(victim: Victim, expected: bytes) -> None:
    before, stored = len(victim.steps()), victim.stored()
    assert victim.finish() == 0, victim.output()
    assert victim.report.read_bytes() == expected
    assert not set(stored) & set(victim.steps()[before:])
    assert victim.lingering() == []


@pytest.mark.parametrize("arguments", BACKENDS)
@pytest.mark.parametrize("signum", CODES)
def test_a_signal_ends_a_study_at_a_checkpoint(
    tmp_path: Path, expected: bytes, arguments: Sequence[str], signum: signal.Signals
) -> None:
    victim = Victim(folder=tmp_path, arguments=arguments)
    process = victim.start()
    wait_until(lambda: len(victim.steps()) > 60, process)
    decided = set(victim.results.glob("torture/phases/*/decision.json"))
    victim.end(process, signum)
    assert process.returncode == CODES[signum]
    assert "Go on with:\n" in victim.output()
    assert "Traceback" not in victim.output()
    assert set(victim.results.glob("torture/phases/*/decision.json")) == decided
    goes_on(victim, expected)


@pytest.mark.parametrize("arguments", BACKENDS)
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, expected: bytes, arguments: Sequence[str]
) -> None:
    """The first one waits for a step that takes longer than a person does."""
    slow = {**STUDY, "params": {"train": {"seconds": 20.0}}}
    victim = Victim(folder=tmp_path, arguments=arguments, study=slow)
    process = victim.start()
    wait_until(lambda: len(victim.stored()) > 0, process)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    victim.end(process, signal.SIGINT)
    assert time.monotonic() - began < GRACE_SECONDS - 5
    assert process.returncode == 130
    assert "Go on with:\n" in victim.output()
    assert victim.lingering() == []


@pytest.mark.parametrize(
    "views",
    [
        pytest.param(("final.json",), id="final"),
        pytest.param(("trials",), id="trials", marks=pytest.mark.torture),
        pytest.param(("phases/steps/trials.parquet",), id="frames", marks=pytest.mark.torture),
        pytest.param(("analysis.txt",), id="analysis", marks=pytest.mark.torture),
    ],
)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_while_it_writes_what_it_leaves(
    tmp_path: Path, expected: bytes, views: Sequence[str], signum: signal.Signals
) -> None:
    """As soon as a file is there that the report follows; it may also have ended before that."""
    victim = Victim(folder=tmp_path)
    process = victim.start()
    folder = victim.results / "torture"
    while process.poll() is None and not all((folder / view).exists() for view in views):
        time.sleep(0.001)
    victim.end(process, signum)
    assert process.returncode in (0, 130, -signal.SIGKILL)
    goes_on(victim, expected)


def test_a_terminal_that_is_closed_ends_it_in_order(tmp_path: Path, expected: bytes) -> None:
    """The kernel sends SIGHUP, and what is printed from then on can't be."""
    victim = Victim(folder=tmp_path)
    master, slave = pty.openpty()
    process = victim.start(terminal=slave)
    os.close(slave)
    wait_until(lambda: len(victim.steps()) > 60, process)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 143
    goes_on(victim, expected)


def test_nobody_reads_what_it_prints(tmp_path: Path, expected: bytes) -> None:
    """As behind `| head -1`."""
    victim = Victim(folder=tmp_path)
    reader, writer = os.pipe()
    process = victim.start(terminal=writer)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    process.wait(60)
    assert victim.report.read_bytes() == expected
