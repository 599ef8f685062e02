"""A study that is killed and started again: what lives on, what runs again, what comes out.

A study is a command that goes on where it was. It is given a folder, in which it leaves marks of
what it executes (`mark`) and, at its end, what came out (`tell`). What it started is known by two
signs that its processes inherit, the session and a variable of the environment that only this life
has; no process is looked for by its name. Instants are of the monotonic clock, which processes
share.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30.0
"""How long what a dead command left behind may live on before it is counted and ended."""
LIMIT_SECONDS = 120.0
"""A start that is not to be killed and takes longer than this never ends."""
LAST_STARTS = 3
"""How often a study is started after its kills before its error is said to repeat."""
SIGN = "LIFE_UNDER_KILLS"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a study says of a trial: its point (None: unknown), final number, rows of history."""

    point: int | None
    number: int | None
    history: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What happened to a point, and when."""

    event: str
    point: int
    at: float


@dataclass(frozen=True, kw_only=True)
class Life:
    """One life of a command."""

    began: float
    ended: float
    exit_code: int | None
    """None: it was killed before it ended."""
    gone_after_seconds: float
    """From its end until nothing of it was alive; at most the patience."""
    left_alive: int
    """Processes of it that were alive after the patience. They were ended then."""

    @property
    def killed(self) -> bool:
        return self.exit_code is None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A study that is over, however it ended."""

    lives: list[Life]
    trials: list[Trial] | None
    """In the order in which the last life told them; None: it told nothing."""
    marks: list[Mark]
    last_line: str
    """Of what it printed."""

    @property
    def kills(self) -> list[float]:
        return [life.ended for life in self.lives if life.killed]

    @property
    def steps(self) -> int:
        return sum(mark.event == "stepped" for mark in self.marks)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A study in figures. What came out is compared with the undisturbed trials."""

    setting: str
    seed: int
    number: int
    lost: str | None
    numbers_equal: bool
    history_equal: bool
    order_equal: bool
    finished_at_kills: int
    finished_ran_again: int
    extra_steps_percent: float
    killed_after_seconds: list[float]
    gone_after_seconds: list[float]
    left_alive: list[int]
    starts: int
    seconds: float


def drawn_kills(*, seed: int, number: int, counts: range) -> list[float]:
    """The instants of a study's kills, as fractions of the length of an undisturbed run."""
    stream = random.Random(f"{seed}/{number}")  # noqa: S311
    return [stream.random() for _ in range(stream.choice(counts))]


def run_killed(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], kills: Sequence[float]
) -> Ended:
    """Start a study until it ends well, killed after each of these seconds in turn."""
    lives = list[Life]()
    for seconds in (*kills, *[LIMIT_SECONDS] * LAST_STARTS):
        (folder / "trials.json").unlink(missing_ok=True)
        lives.append(_live(command, folder=folder, environment=environment, seconds=seconds))
        endless = lives[-1].killed and len(lives) > len(kills)
        if endless or lives[-1].exit_code == 0:
            break
    printed = [line for line in read_lines(folder / "log") if line.strip()]
    return Ended(
        lives=lives,
        trials=_told(folder),
        marks=[Mark(**json.loads(line)) for line in read_lines(folder / "marks.jsonl")],
        last_line=printed[-1] if printed else "",
    )


def _live(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float
) -> Life:
    own = uuid.uuid4().hex
    with (folder / "log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            command,
            env={**environment, SIGN: own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    sign = f"{SIGN}={own}".encode()
    try:
        exit_code = _wait_or_kill(process, seconds)
        ended = time.monotonic()
        left = _wait_until_gone(session=process.pid, sign=sign)
        gone = time.monotonic() - ended
    finally:
        _end(session=process.pid, sign=sign)
    return Life(
        began=began, ended=ended, exit_code=exit_code, gone_after_seconds=gone, left_alive=left
    )


def _wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def _wait_until_gone(*, session: int, sign: bytes) -> int:
    """How many are alive when the patience ends; 0 as soon as there are none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (alive := _alive(session=session, sign=sign)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(alive)


def _end(*, session: int, sign: bytes) -> None:
    while alive := _alive(session=session, sign=sign):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _alive(*, session: int, sign: bytes) -> list[int]:
    folders = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [int(path.name) for path in folders if _belongs(path, session=session, sign=sign)]


def _belongs(process: Path, *, session: int, sign: bytes) -> bool:
    """A zombie runs nothing and counts as gone; a process that we may not look into is not ours."""
    try:
        state, _, _, its_session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        signs = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return state != "Z" and (int(its_session) == session or sign in signs)


def mark(event: str, *, point: int, folder: Path) -> None:
    """Append an event to the marks, in one write of one line: those of processes do not mix."""
    line = json.dumps(asdict(Mark(event=event, point=point, at=time.monotonic())))
    with (folder / "marks.jsonl").open("a") as file:
        file.write(line + "\n")


def tell(trials: Iterable[Trial], *, folder: Path) -> None:
    """Leave what came out."""
    (folder / "trials.json").write_text(json.dumps([asdict(trial) for trial in trials]))


def _told(folder: Path) -> list[Trial] | None:
    lines = read_lines(folder / "trials.json")
    return [Trial(**trial) for trial in json.loads(lines[0])] if lines else None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; none where it does not exist."""
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def find(
    setting: str, *, seed: int, number: int, ended: Ended, undisturbed: Sequence[Trial]
) -> Findings:
    """Hold a study against the undisturbed one, which makes a step per row of its history."""
    trials, killed = ended.trials or [], [life for life in ended.lives if life.killed]
    steps = sum(len(trial.history) for trial in undisturbed)
    finished, again = _ran_again(ended)
    return Findings(
        setting=setting,
        seed=seed,
        number=number,
        lost=_why_lost(ended, undisturbed=undisturbed),
        numbers_equal=_by_point(trials, "number") == _by_point(undisturbed, "number"),
        history_equal=_by_point(trials, "history") == _by_point(undisturbed, "history"),
        order_equal=[trial.point for trial in trials] == [trial.point for trial in undisturbed],
        finished_at_kills=finished,
        finished_ran_again=again,
        extra_steps_percent=100 * (ended.steps / steps - 1),
        killed_after_seconds=[life.seconds for life in killed],
        gone_after_seconds=[life.gone_after_seconds for life in killed],
        left_alive=[life.left_alive for life in killed],
        starts=len(ended.lives),
        seconds=sum(life.seconds + life.gone_after_seconds for life in ended.lives),
    )


def _why_lost(ended: Ended, *, undisturbed: Sequence[Trial]) -> str | None:
    """Why the results of a study are not to be had, a kind before the colon; None: they are."""
    if ended.lives[-1].killed:
        return "did not end"
    if ended.trials is None:
        return f"error repeats: {ended.last_line[:150]}"
    points, expected = ({trial.point for trial in some} for some in (ended.trials, undisturbed))
    if points != expected or len(ended.trials) != len(undisturbed):
        return f"other trials: {len(ended.trials)}, {len(expected - points)} points missing"
    return f"trials fail: {ended.last_line[:150]}" if ended.lives[-1].exit_code else None


def _by_point(trials: Iterable[Trial], what: str) -> dict[int | None, Any]:
    """One thing that is told of each trial."""
    return {trial.point: getattr(trial, what) for trial in trials}


def _ran_again(ended: Ended) -> tuple[int, int]:
    """Over all kills: points that were finished by then, and how many of these started again."""
    finished = again = 0
    for kill, until in pairwise([*ended.kills, float("inf")]):
        done = {mark.point for mark in ended.marks if mark.event == "finished" and mark.at < kill}
        begun = {
            mark.point for mark in ended.marks if mark.event == "started" and kill < mark.at < until
        }
        finished += len(done)
        again += len(done & begun)
    return finished, again
