"""A study that is paused, moved, copied, or killed while it copies large checkpoints or deletes."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune.store.garbage import collect, garbage
from phasetune.store.paths import ResultsPaths
from torture.crashing import CRASHED, Fault, Kind, in_child, inject, left_by, ran, refuse_torn
from torture.victim import STUDY, Victim, wait_until

PAUSE_SECONDS = 5.0
LARGE = {
    **STUDY,
    "params": {"train": {"steps": 4, "written_mb": 100.0}},
    "phases": [{"name": "value", "grid": {"train.value": [0.2, 0.6]}}],
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    victim = Victim(folder=tmp_path_factory.mktemp("undisturbed"))
    assert victim.finish() == 0, victim.output()
    return victim.report.read_bytes()


def cut(victim: Victim, *, after: int) -> None:
    process = victim.start()
    wait_until(lambda: len(victim.steps()) > after, process)
    assert victim.end(process)


@pytest.mark.torture
def test_a_paused_driver_keeps_its_study(tmp_path: Path, expected: bytes) -> None:
    """As a virtual machine does: it stops in the middle and goes on as if nothing was."""
    victim = Victim(folder=tmp_path)
    process = victim.start()
    wait_until(lambda: len(victim.steps()) > 40, process)
    process.send_signal(signal.SIGSTOP)
    assert victim.finish() == 2
    assert f"pid {process.pid}" in victim.output()
    time.sleep(PAUSE_SECONDS)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    assert victim.report.read_bytes() == expected


@pytest.mark.torture
@pytest.mark.parametrize("name", ["a b", "übung-研究", "x" * 120])
def test_a_study_that_was_moved_goes_on(name: str, tmp_path: Path, expected: bytes) -> None:
    victim = Victim(folder=tmp_path / "before")
    cut(victim, after=60)
    stored, taken = set(victim.stored()), len(victim.steps())
    moved = Victim(folder=tmp_path / name)
    shutil.rmtree(moved.folder)
    victim.folder.rename(moved.folder)
    assert moved.finish() == 0, moved.output()
    assert moved.report.read_bytes() == expected
    assert not stored & set(moved.steps()[taken:])


@pytest.mark.torture
def test_two_copies_of_a_cut_study_end_alike(tmp_path: Path, expected: bytes) -> None:
    victim = Victim(folder=tmp_path / "one")
    cut(victim, after=60)
    shutil.copytree(victim.folder, tmp_path / "other")
    for folder in (victim.folder, tmp_path / "other"):
        copy = Victim(folder=folder)
        assert copy.finish() == 0, copy.output()
        assert copy.report.read_bytes() == expected


@pytest.mark.torture
def test_kills_while_large_checkpoints_are_copied(tmp_path: Path) -> None:
    undisturbed = Victim(folder=tmp_path / "undisturbed", study=LARGE)
    began = time.monotonic()
    assert undisturbed.finish() == 0, undisturbed.output()
    seconds = time.monotonic() - began
    draw = random.Random(0)  # noqa: S311 - instants, not secrets
    for number in range(10):
        victim = Victim(folder=tmp_path / str(number), study=LARGE)
        process = victim.start()
        time.sleep(draw.uniform(0.3, 1.0) * seconds)
        victim.end(process)
        assert victim.finish() == 0, victim.output()
        assert victim.report.read_bytes() == undisturbed.report.read_bytes()
        shutil.rmtree(victim.folder)


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize(
    "number", [0, *(pytest.param(n, marks=pytest.mark.torture) for n in range(1, 4))]
)
def test_a_crash_while_garbage_is_deleted(
    kind: Kind, number: int, tmp_path: Path, scripted_study: StudyMaker
) -> None:
    study, paths = scripted_study(), ResultsPaths(tmp_path / "results")
    wider = scripted_study(phases=[{"name": "value", "grid": {"train.value": [0.1, 0.3, 0.5]}}])
    assert (ran(wider, paths.root), ran(study, paths.root)) == (0, 0)
    expected = left_by(study, paths.root)
    assert in_child(lambda: collects(paths, Fault(kind=kind, number=number))) == CRASHED
    assert refuse_torn(paths.root)
    assert in_child(lambda: collects(paths)) == 0
    assert not list(paths.root.rglob(".*"))
    assert ran(study, paths.root) == 0
    assert left_by(study, paths.root) == expected


def collects(paths: ResultsPaths, fault: Fault | None = None) -> int:
    if fault is not None:
        inject(fault)
    collect(garbage(paths))
    return 0
