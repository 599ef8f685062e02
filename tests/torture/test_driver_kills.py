"""SIGKILL of the driver at seeded instants over the whole life of a study of three phases.

TORTURE_SEED    of the first study; the next ones have the numbers after it (default 0)
TORTURE_BATCH   how many kills through Ray (default 20)
TORTURE_RECORD  a file of lines of JSON that batches through Ray are appended to
"""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from conftest import TESTS
from torture.victim import Punished, Victim, punish

IN_PROCESS = ("--in-process",)
RAY = ("--max-concurrent", "2")
Arguments = tuple[str, ...]

PAUSE_SECONDS: dict[Arguments, float] = {
    IN_PROCESS: 0.0,
    RAY: 0.05,
}  # else most of its life is start-up
KILLS = 300
BATCH = int(os.environ.get("TORTURE_BATCH", "20"))
FIRST_SEED = int(os.environ.get("TORTURE_SEED", "0"))
RECORD = Path(os.environ.get("TORTURE_RECORD", TESTS.parent / "results" / "torture.jsonl"))
MOST_EXTRA_STEPS = 1.05


def victim_of(folder: Path, arguments: Arguments) -> Victim:
    pause = PAUSE_SECONDS[arguments]
    return Victim(folder=folder, arguments=arguments, pause_seconds=pause)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> "Undisturbed":
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


class Undisturbed:
    """The report, the duration and the number of steps of a study that nobody kills."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.through = cache(self._through)

    def _through(self, arguments: Arguments) -> tuple[bytes, float, int]:
        victim = victim_of(self._folder / arguments[0].strip("-"), arguments)
        began = time.monotonic()
        assert victim.finish() == 0, victim.output()
        return victim.report.read_bytes(), time.monotonic() - began, len(victim.steps())


def killed(folder: Path, undisturbed: Undisturbed, arguments: Arguments, *, seed: int) -> Punished:
    expected, seconds, _ = undisturbed.through(arguments)
    victim = victim_of(folder / str(seed), arguments)
    return punish(victim, seed=seed, seconds=seconds, expected=expected)


def batch(
    folder: Path,
    undisturbed: Undisturbed,
    arguments: Arguments,
    *,
    kills: int,
    first: int,
    at_once: int,
) -> list[Punished]:
    """Studies with seeds from `first` on, until so many kills have hit one."""
    done: list[Punished] = []
    seeds = count(first)
    undisturbed.through(arguments)
    with ThreadPoolExecutor(at_once) as pool:
        while sum(len(study.kills) for study in done) < kills:
            some = [next(seeds) for _ in range(at_once)]
            done += pool.map(lambda s: killed(folder, undisturbed, arguments, seed=s), some)
    return done


def refuse_losses(done: Sequence[Punished], *, steps: int) -> None:
    assert [study for study in done if not study.recovered] == []
    taken = sum(study.steps for study in done)
    assert taken <= MOST_EXTRA_STEPS * steps * len(done)


def test_some_studies_that_are_killed_end_as_if_they_were_not(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    done = batch(tmp_path, undisturbed, IN_PROCESS, kills=4, first=FIRST_SEED, at_once=1)
    refuse_losses(done, steps=undisturbed.through(IN_PROCESS)[2])


@pytest.mark.torture
def test_hundreds_of_kills_in_process(tmp_path: Path, undisturbed: Undisturbed) -> None:
    done = batch(tmp_path, undisturbed, IN_PROCESS, kills=KILLS, first=FIRST_SEED, at_once=2)
    refuse_losses(done, steps=undisturbed.through(IN_PROCESS)[2])


@pytest.mark.torture
@pytest.mark.ray
def test_a_batch_of_kills_through_ray_is_added_to_the_record(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    done = batch(tmp_path, undisturbed, RAY, kills=BATCH, first=next_seed(), at_once=1)
    steps = undisturbed.through(RAY)[2]
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with RECORD.open("a") as file:
        for study in done:
            entry = {**asdict(study), "recovered": study.recovered, "undisturbed_steps": steps}
            file.write(json.dumps(entry) + "\n")
    refuse_losses(done, steps=steps)


def next_seed() -> int:
    lines = RECORD.read_text().splitlines() if RECORD.is_file() else []
    return max((int(json.loads(line)["seed"]) for line in lines), default=FIRST_SEED - 1) + 1


@pytest.mark.torture
@pytest.mark.parametrize(
    "arguments",
    [pytest.param(IN_PROCESS, id="in-process"), pytest.param(RAY, marks=pytest.mark.ray, id="ray")],
)
def test_kills_in_the_first_two_seconds(
    tmp_path: Path, undisturbed: Undisturbed, arguments: Arguments
) -> None:
    """One study, killed twenty times before it got far; then it is let alone."""
    expected, _, steps = undisturbed.through(arguments)
    victim = victim_of(tmp_path, arguments)
    for tenth in range(1, 21):
        process = victim.start()
        time.sleep(tenth / 10)
        victim.end(process)
    assert victim.finish() == 0, victim.output()
    assert victim.report.read_bytes() == expected
    assert victim.lingering() == []
    assert len(victim.steps()) <= steps + 20
