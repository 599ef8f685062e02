"""`phasetune stop` ends a study that another process runs, and says what is kept."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import StudyWriter, phasetune
from phasetune import StudyError, stop_study
from phasetune.api.stopping import WAIT_SECONDS
from phasetune.run import stop_request
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths
from scripted import PAUSE

ONE = [{"name": "one", "points": [{}]}]
NONE = {"refit": False, "test": False}
HERE = Owner.of_this_process()
ELSEWHERE = replace(HERE, boot="another", host="node7")
GONE = replace(HERE, started_ticks=HERE.started_ticks + 1)
LONGEST_SECONDS = 30.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes no request gets a signal soon, and the second one soon after the first."""
    monkeypatch.setattr(stop_request, "_LONGEST_TAKE_SECONDS", 0.1)
    monkeypatch.setattr(stop_request, "_BETWEEN_SIGNALS_SECONDS", 0.3)


@contextmanager
def running(written: StudyWriter, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """A study that takes some seconds, in a process of its own."""
    study = written(phases=ONE, params={"train": {"steps": 30}}, final=NONE)
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "run", str(study), "--in-process"],
        cwd=folder,
        env={**os.environ, PAUSE: "0.2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(
            lambda: list(folder.glob("results/*/phases/one/attempts/*/train-*/checkpoint_*"))
        )
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def names(folder: Path, **owners: Owner) -> None:
    """Studies whose locks name somebody."""
    for name, owner in owners.items():
        study = ResultsPaths(folder / "results").study(name)
        study.root.mkdir(parents=True, exist_ok=True)
        study.driver_lock.write_bytes(owner.content)


@pytest.mark.parametrize("where", ["this machine", "another machine"])
def test_a_study_ends_at_a_checkpoint_and_the_same_command_goes_on(
    where: str, written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(written, folder) as process:
        if where == "another machine":
            monkeypatch.setattr(Owner, "is_of_this_machine", property(lambda _: False))
        said = phasetune("stop", "results")
        _, err = process.communicate(timeout=LONGEST_SECONDS)
    assert (said.code, said.err, process.returncode) == (0, "", 143)
    assert said.out.startswith(f"Study scripted is run by pid {process.pid} on ")
    assert "Asked it to end at its next checkpoints; waiting." in said.words
    assert said.words.endswith(f"phasetune run {folder}/study.yaml --in-process")
    assert "nothing was decided since. Go on with:" in err
    assert not (folder / "results/scripted/stop-requested.json").exists()
    assert phasetune("stop", "results").out == "Nothing to stop: nobody runs a study in results.\n"
    if where == "this machine":
        assert phasetune("run", "study.yaml", "--in-process").code == 0
        (manifest,) = folder.glob("results/store/train/*/manifest.json")
        assert json.loads(manifest.read_text())["provenance"]["resumed"]


@pytest.mark.usefixtures("impatient")
def test_now_waits_for_no_checkpoint(written: StudyWriter, folder: Path) -> None:
    study = written(phases=ONE, params={"prepare": {"fault": "hang", "fault_step": 2}})
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "run", str(study), "--in-process"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(folder.glob("results/*/phases/one/attempts/*/prepare-*/checkpoint_*")))
    said = phasetune("stop", "results", "--study", "scripted", "--now")
    process.communicate(timeout=LONGEST_SECONDS)
    assert (said.code, process.returncode) == (0, 143)
    assert "Asked it to end at once; waiting." in said.words


def test_with_several_studies_one_has_to_be_chosen(folder: Path) -> None:
    names(folder, one=HERE, two=ELSEWHERE, three=GONE)
    said = phasetune("stop", "results")
    assert said.code == 2
    assert said.err == (
        f"error: several studies run: one ({HERE}); two ({ELSEWHERE}); choose one by --study NAME\n"
    )
    with pytest.raises(StudyError, match="several studies run"):
        stop_study("results")


def test_a_driver_that_does_not_answer_is_told_with_what_to_do(folder: Path) -> None:
    names(folder, one=ELSEWHERE)
    said = phasetune("stop", "results", "--wait", "0")
    assert said.code == 1
    assert said.err.splitlines() == [
        "error: the driver has not ended within 0 s.",
        "Its machine, node7, may be gone or cut off; the request stays for it.",
        "Without waiting for checkpoints: phasetune stop results --study one --now",
    ]
    request = json.loads((folder / "results/one/stop-requested.json").read_text())
    assert (request["owner"]["host"], request["at_once"]) == ("node7", False)
    assert stop_study("results", "one", wait_seconds=0.0) is False


@pytest.mark.usefixtures("impatient")
def test_a_driver_of_this_machine_that_does_not_end_may_be_killed(folder: Path) -> None:
    ignores = "import signal, sys; signal.signal(15, signal.SIG_IGN); print(); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", ignores], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        names(folder, one=replace(HERE, pid=process.pid, started_ticks=int(ticks)))
        said = phasetune("stop", "results", "--now", "--wait", "0")
        assert (said.code, process.poll()) == (1, None)
        assert said.err.splitlines()[1] == (
            f"End it by force, which loses nothing stored: kill -9 {process.pid}"
        )
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("owner", [GONE, None], ids=["its driver is gone", "nobody came"])
def test_nothing_to_stop_is_no_error(owner: Owner | None, folder: Path) -> None:
    names(folder, one=GONE)
    if owner is None:
        (folder / "results/one/driver.lock").write_bytes(b"")
    said = phasetune("stop", "results", "--study", "one")
    assert (said.code, said.err) == (0, "")
    assert said.out == "Nothing to stop: nobody runs one in results.\n"
    assert stop_study("results") is True


def test_a_study_that_is_not_there_is_one_sentence(folder: Path) -> None:
    names(folder, one=GONE)
    said = phasetune("stop", "results", "--study", "other")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "holds no study 'other'" in said.err


def test_the_help_says_how_long_it_waits() -> None:
    assert f"default: {WAIT_SECONDS:g}." in phasetune("stop", "--help").words
