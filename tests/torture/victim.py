"""A study as a whole command that is ended by signals, and what must hold after it went on.

Each command has a mark in its environment, which all processes inherit that it starts, so that
those it leaves behind are found by it. Some of Ray's write their title over the first part of what
the kernel shows of their environment, so the mark is repeated.
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TESTS
from phasetune.study.dump import yaml_text
from scripted import LOG, PAUSE

MARK = "PHASETUNE_TORTURE"
_COPIES = 128
LONGEST_SECONDS = 240.0
LINGER_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 90.0

STUDY = {
    "name": "torture",
    "workload": "scripted",
    "import_from": [str(TESTS)],
    "seed": 11,
    "params": {"prepare": {"steps": 8}, "train": {"steps": 8, "noise": 0.1}},
    "objective": {"metric": "score"},
    "constraints": ["other >= 0.3"],
    "phases": [
        {"name": "value", "grid": {"train.value": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}},
        {"name": "preparation", "grid": {"prepare.value": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}},
        {"name": "steps", "grid": {"train.steps": [6, 7, 8, 9, 10, 11]}},
    ],
}


@dataclass(kw_only=True)
class Victim:
    """One study in a folder of its own; each step of it takes at least `pause_seconds`.

    `prefix` is what the command begins with, such as what runs it on another node.
    """

    folder: Path
    arguments: Sequence[str] = ("--in-process",)
    study: dict[str, object] = field(default_factory=lambda: dict(STUDY))
    pause_seconds: float = 0.0
    prefix: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "study.yaml").write_text(yaml_text(self.study))

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def report(self) -> Path:
        return self.results / str(self.study["name"]) / "report.json"

    def start(self, *more: str, terminal: int | None = None) -> subprocess.Popen[str]:
        """The command, in a session of its own; it prints to a file, or to a descriptor."""
        mark = uuid.uuid4().hex
        self.marks[mark] = time.monotonic()
        output = (self.folder / "output.txt").open("a")
        with output:
            return subprocess.Popen(
                [
                    *self.prefix, sys.executable, "-m", "phasetune", "run", "study.yaml",
                    *self.arguments, *more,
                ],
                cwd=self.folder,
                env={
                    **os.environ,
                    **self.environment,
                    MARK: mark * _COPIES,
                    LOG: str(self.folder / "steps.log"),
                    PAUSE: str(self.pause_seconds),
                },
                stdout=output if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=_hear_signals,
            )  # fmt: skip

    def finish(self, *more: str) -> int:
        """Run the command to its end; its exit code."""
        process = self.start(*more)
        try:
            return process.wait(LONGEST_SECONDS)
        finally:
            process.kill()
            process.wait()

    def end(self, process: subprocess.Popen[str], signum: int = signal.SIGKILL) -> bool:
        """Send a signal and wait for the end; whether the command was still running."""
        was_running = process.poll() is None
        if was_running:
            process.send_signal(signum)
        process.wait(LONGEST_SECONDS)
        last = next(reversed(self.marks))
        self.marks[last] = time.monotonic()
        return was_running

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def stored(self) -> dict[str, bytes]:
        """The manifest of each published artifact, by key."""
        found = (self.results / "store").glob("*/[!.]*/manifest.json")
        return {path.parent.name: path.read_bytes() for path in found}

    def steps(self) -> list[str]:
        """The key of each step that was taken, in order."""
        try:
            lines = (self.folder / "steps.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.partition(" ")[0] for line in lines]

    def lingering(self) -> list[str]:
        """What its commands left alive 30 s after they ended."""
        found = alive(self.marks)
        while found and any(
            time.monotonic() - self.marks[mark] < LINGER_SECONDS for mark, _ in found
        ):
            time.sleep(0.5)
            found = alive(self.marks)
        return [name for _, name in found]


def wait_until(
    happened: Callable[[], object],
    process: subprocess.Popen[str],
    *,
    seconds: float = LONGEST_WAIT_SECONDS,
) -> None:
    """Wait for something that a running command does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)


def alive(marks: Sequence[str] | dict[str, float]) -> list[tuple[str, str]]:
    """Mark, process id and command line of every living process with one of the marks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            name = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            mine = [mark for mark in marks if mark.encode() in environment]
            found += [(mark, f"{folder.name} {name}") for mark in mine]
    return found


@dataclass(frozen=True, kw_only=True)
class Punished:
    """What a study came to that was killed: `again` are steps of runs that were stored before."""

    seed: int
    kills: list[float]
    exit_code: int
    equal: bool
    again: int
    lost: int
    steps: int
    lingering: list[str]
    message: str

    @property
    def recovered(self) -> bool:
        """Whether everything holds that must."""
        fine = self.exit_code == 0 and self.equal and not self.lingering
        return fine and not self.again and not self.lost


def punish(victim: Victim, *, seed: int, seconds: float, expected: bytes) -> Punished:
    """Kill a study 1 to 5 times at instants of its life, then let it end."""
    draw = random.Random(seed)  # noqa: S311 - instants, not secrets
    kills, again, lost = list[float](), 0, 0
    stored: dict[str, bytes] = {}
    for _ in range(draw.randint(1, 5)):
        instant, before = draw.uniform(0.0, seconds), len(victim.steps())
        process = victim.start()
        time.sleep(instant)
        was_running = victim.end(process)
        again += sum(key in stored for key in victim.steps()[before:])
        now = victim.stored()
        lost += sum(now.get(key) != manifest for key, manifest in stored.items())
        stored = now
        if not was_running:
            break
        kills.append(round(instant, 3))
    before = len(victim.steps())
    code = victim.finish()
    again += sum(key in stored for key in victim.steps()[before:])
    now = victim.stored()
    lost += sum(now.get(key) != manifest for key, manifest in stored.items())
    return Punished(
        seed=seed,
        kills=kills,
        exit_code=code,
        equal=victim.report.is_file() and victim.report.read_bytes() == expected,
        again=again,
        lost=lost,
        steps=len(victim.steps()),
        lingering=victim.lingering(),
        message="" if code == 0 else victim.output()[-600:],
    )


def _hear_signals() -> None:
    """Tests may run in the background of a shell, which lets its jobs ignore Ctrl-C."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
