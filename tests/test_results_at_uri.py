"""A study whose results lie on an object store is the study that it is in a folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import TESTS, Heard
from links import linked
from machines import on
from object_store import ObjectServer
from phasetune import Study, StudyOutcome, run_study
from phasetune.run.events import Noticed
from phasetune.run.interrupt import Interrupted
from phasetune.store.durable import withdraw
from phasetune.store.garbage import garbage
from phasetune.store.lock import exclusively
from phasetune.store.paths import results_at, shown_path
from phasetune.study.dump import study_yaml
from scripted import LOG, PAUSE
from stored import StopsAt

STUDY = Study.model_validate(
    {
        "name": "shared",
        "workload": "scripted",
        "import_from": [str(TESTS)],
        "seed": 11,
        "params": {name: {"steps": 2} for name in ("prepare", "train", "test")},
        "objective": {"metric": "score"},
        "constraints": ["other >= 0.3"],
        "phases": [{"name": "value", "grid": {"train.value": [0.2, 0.6]}}],
    }
)
RUNS = 1 + 2 + 2
STEPS = 2 * RUNS


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The report of the study in a folder."""
    outcome = run_study(STUDY, results=tmp_path_factory.mktemp("plain"), in_process=True)
    return outcome.paths.report.read_bytes()


@pytest.fixture(autouse=True)
def leases_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody races for them here."""
    monkeypatch.setattr("phasetune.store.lease_places.SETTLE_SECONDS", 0.0)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two machines; this process is on the first."""
    first, second = tmp_path / "first", tmp_path / "second"
    with on(first):
        yield first, second


def run(uri: str, heard: Heard | None = None) -> StudyOutcome:
    return run_study(STUDY, results=f"{uri}/results", in_process=True, listener=heard)


def executed(outcome: StudyOutcome) -> int:
    return len(outcome.result.account.executed)


def test_the_report_is_that_of_a_folder_and_any_machine_has_it(
    bucket: str, machines: tuple[Path, Path], plain: bytes, object_server: ObjectServer
) -> None:
    first = run(bucket)
    assert (executed(first), first.paths.report.read_bytes()) == (RUNS, plain)
    names = object_server.names(f"{bucket}/results/shared")
    assert {"study.yaml", "report.json", "logs/events.jsonl", "model/chain.txt"} <= set(names)
    assert not [n for n in names if n.startswith((".", "tracking", "driver.lock"))]
    with on(machines[1]):
        again = run(bucket)
        assert (executed(again), again.paths.report.read_bytes()) == (0, plain)
        assert again.paths.root.is_relative_to(machines[1])


def test_what_a_study_keeps_holds_on_every_machine(
    bucket: str, machines: tuple[Path, Path], heard: Heard
) -> None:
    kept = run(bucket).paths.study.read_text()
    assert str(TESTS) in kept  # a path relative to the mirror would lead elsewhere there
    with on(machines[1]):
        run(bucket, heard)
    assert not heard.of(Noticed)


def test_an_interrupted_study_goes_on_on_another_machine_from_its_checkpoints(
    bucket: str, machines: tuple[Path, Path], plain: bytes, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(LOG, str(tmp_path / "steps.log"))
    uri = f"{bucket}/results"
    with pytest.raises(Interrupted):
        run_study(STUDY, results=uri, in_process=True, listener=StopsAt(5))
    with on(machines[1]):
        outcome = run(bucket)
    assert outcome.paths.report.read_bytes() == plain
    assert len((tmp_path / "steps.log").read_text().splitlines()) == STEPS


def test_who_deletes_knows_a_study_that_came_after_it_had_looked(
    bucket: str, machines: tuple[Path, Path]
) -> None:
    first = run(bucket)
    withdraw(first.paths.root)
    with on(machines[1]):
        looked = results_at(f"{bucket}/results")
        assert len(garbage(looked)) == RUNS
        looked.store.mkdir(exist_ok=True)
        looked.lock.touch()  # something was run here once
        with on(machines[0]):
            assert executed(run(bucket)) == 0
        with exclusively(looked):
            assert garbage(looked) == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The study as a file."""
    path = tmp_path / "study.yaml"
    path.write_text(study_yaml(STUDY, beside=None))
    return path


def command(file: Path, uri: str, machine: Path, **environment: str) -> "subprocess.Popen[str]":
    words = ["run", str(file), "--results", f"{uri}/results", "--in-process"]
    given = {**os.environ, "PHASETUNE_CACHE": str(machine), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "phasetune", *words],
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(steps: int, log: Path, process: "subprocess.Popen[str]") -> None:
    while not log.exists() or len(log.read_text().splitlines()) < steps:
        assert process.poll() is None
        time.sleep(0.01)


def test_a_study_that_was_killed_goes_on_on_another_machine(
    bucket: str, file: Path, plain: bytes, tmp_path: Path
) -> None:
    log = tmp_path / "steps.log"
    killed = command(file, bucket, tmp_path / "first", **{LOG: str(log), PAUSE: "0.1"})
    wait_for(5, log, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with on(tmp_path / "second"):
        outcome = run(bucket)
    assert outcome.paths.report.read_bytes() == plain
    assert executed(outcome) <= RUNS - 2


@pytest.mark.torture
def test_a_storage_that_goes_away_is_one_sentence_and_loses_nothing(
    object_server: ObjectServer, bucket: str, file: Path, plain: bytes, tmp_path: Path
) -> None:
    log = tmp_path / "steps.log"
    with linked(object_server) as (link, way):
        refused = command(file, bucket, tmp_path, **way, **{LOG: str(log), PAUSE: "0.1"})
        wait_for(5, log, refused)
        link.cut()
        said, _ = refused.communicate()
        assert refused.returncode == 2
        assert said.count("error: ") == 1
        assert "Traceback" not in said
        assert f"{bucket}/results" in said
    with on(tmp_path):
        outcome = run(bucket)
    assert outcome.paths.report.read_bytes() == plain
    assert (executed(outcome), outcome.failures) == (RUNS - 2, [])


def test_an_attempt_of_another_machine_is_not_used_again(
    bucket: str, machines: tuple[Path, Path]
) -> None:
    with pytest.raises(Interrupted):
        run_study(STUDY, results=bucket, in_process=True, listener=StopsAt(1))
    with on(machines[1]):
        attempt = results_at(bucket).study("shared").phase("value").new_attempt()
        assert shown_path(attempt) == f"{bucket}/shared/phases/value/attempts/0002"
