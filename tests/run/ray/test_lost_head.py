"""The head of a joined cluster is lost while a study runs; the same command goes on later."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_head import RayHead, new_token
from torture.victim import LONGEST_SECONDS, STUDY, Victim, wait_until

pytestmark = pytest.mark.ray

FIRST = {"name": "value", "grid": {"train.value": [0.1, 0.2]}}
SHORT = {
    **STUDY,
    "name": "short",
    "params": {"train": {"steps": 6, "noise": 0.1}},
    "phases": [FIRST],
}
SECOND = {"name": "steps", "grid": {"train.steps": [6, 7]}}
PATIENCE = """
from phasetune.run.ray import head
head.LOST_SECONDS = 3.0
"""
LOST_AT_SECOND_WAVE = """
import os
import signal
from phasetune.run.ray.backend import RayBackend

execute, begun = RayBackend.execute, []


def losing(self, wave, **named):
    begun.append(wave)
    if len(begun) == 2:
        os.kill(int(os.environ["GCS"]), signal.SIGKILL)
    return execute(self, wave, **named)


RayBackend.execute = losing
"""


@pytest.fixture
def head(tmp_path: Path) -> Iterator[RayHead]:
    with RayHead(tmp_path, token=new_token(tmp_path / "token")) as found:
        yield found


def lose(head: RayHead, what: str) -> None:
    """GCS killed or stopped, or all of it, which starts again meanwhile."""
    if what in ("killed", "hangs"):
        signum = signal.SIGKILL if what == "killed" else signal.SIGSTOP
        for pid in head.processes("gcs_server"):
            os.kill(pid, signum)
        return
    head.kill()
    if what == "starts again":
        head.start()


@pytest.mark.parametrize(
    ("what", "is_patient"),
    [
        ("gone", False),
        *(
            pytest.param(what, True, marks=pytest.mark.torture)
            for what in ("killed", "hangs", "gone", "starts again")
        ),
    ],
)
def test_it_is_told_in_time_and_the_same_command_goes_on(
    head: RayHead, tmp_path: Path, what: str, is_patient: bool
) -> None:
    whole = Victim(folder=tmp_path / "whole", study=SHORT)
    assert whole.finish() == 0, whole.output()
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("" if is_patient else PATIENCE)
    victim = Victim(
        folder=tmp_path / "study",
        study=SHORT,
        arguments=("--address", head.address),
        pause_seconds=1.0,
        environment={**head.environment, "PYTHONPATH": str(site), "SCRIPTED_PAUSE": "1.0"},
    )
    process = victim.start()
    attempts = "short/phases/value/attempts/*/train-*/checkpoint_*"
    wait_until(lambda: list(victim.results.glob(attempts)), process)
    lose(head, what)
    code = process.wait(90.0)
    told = f"error: the head of the Ray cluster at {head.address} is lost since "
    assert (code, told in victim.output()) == (2, True), victim.output()
    assert "nothing of the study is lost: when the cluster is back, run" in victim.output()
    journal = (victim.results / "short/logs/events.jsonl").read_text().splitlines()
    assert '"event":"study_ended","outcome":"refused"' in journal[-1]

    stored = victim.stored()
    if what != "starts again":
        head.kill()
        head.start()
    process = victim.start()
    assert process.wait(LONGEST_SECONDS) == 0, victim.output()
    assert victim.report.read_bytes() == whole.report.read_bytes()
    assert stored.items() <= victim.stored().items()


@pytest.mark.torture
def test_one_that_is_lost_as_a_wave_begins_is_told_as_well(head: RayHead, tmp_path: Path) -> None:
    """Before anything waits for Ray."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(LOST_AT_SECOND_WAVE)
    (gcs,) = head.processes("gcs_server")
    victim = Victim(
        folder=tmp_path / "study",
        study={**SHORT, "phases": [FIRST, SECOND]},
        arguments=("--address", head.address),
        environment={**head.environment, "PYTHONPATH": str(site), "GCS": str(gcs)},
    )
    code = victim.start().wait(LONGEST_SECONDS)
    told = f"error: the head of the Ray cluster at {head.address} is lost since "
    assert (code, told in victim.output()) == (2, True), victim.output()
    journal = (victim.results / "short/logs/events.jsonl").read_text().splitlines()
    assert sum('"event":"wave_started"' in line for line in journal) == 2
    assert '"event":"study_ended","outcome":"refused"' in journal[-1]
