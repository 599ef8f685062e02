"""`phasetune ui`: MLflow's pages for this machine, and nothing left when it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.conftest import phasetune
from phasetune.store.paths import ResultsPaths
from phasetune.study.dump import yaml_text
from tracking_samples import put_database


@pytest.fixture
def results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsPaths:
    """Results of two studies, of which one is tracked elsewhere."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("PHASETUNE_TRACKING")
    kept(folder, "one")
    return ResultsPaths(folder / "results")


def kept(folder: Path, name: str, **changes: object) -> None:
    content = {
        "name": name,
        "workload": "scripted",
        "objective": {"metric": "score"},
        "phases": [{"name": "a", "points": [{}]}],
        **changes,
    }
    path = ResultsPaths(folder / "results").study(name).study
    path.parent.mkdir(parents=True)
    path.write_text(yaml_text(content))


@pytest.fixture
def running(results: ResultsPaths) -> Iterator["subprocess.Popen[str]"]:
    """The command in a process of its own, that says where it listens."""
    put_database(results.mlflow)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "phasetune", "ui", str(results.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait(20)
    assert process.stdout
    process.stdout.close()


def test_it_shows_the_store_until_ctrl_c_and_leaves_no_process(
    running: "subprocess.Popen[str]", results: ResultsPaths
) -> None:
    assert running.stdout
    assert running.stdout.readline() == f"Starting MLflow on sqlite:///{results.mlflow} ...\n"
    line = running.stdout.readline()
    address = line.partition(" ")[0]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as page:  # noqa: S310 - of this machine
        assert b"MLflow" in page.read()
    server = below(running.pid)
    assert server
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(30) == 0
    assert running.stdout.read() == ""
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in server):
        assert time.monotonic() < until
    assert not (results.root / "mlruns").exists()


def below(pid: int) -> set[str]:
    """Processes that a process started, and theirs."""
    found: set[str] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                found |= {child} | below(int(child))
    return found


def test_where_nothing_was_told_it_is_a_sentence_and_nothing_is_made(
    results: ResultsPaths, folder: Path
) -> None:
    before = set(folder.rglob("*"))
    said = phasetune("ui", results.root)
    assert said.code == 2
    assert said.err.startswith(f"error: {results.mlflow} is not there: no study of")
    assert len(said.err.splitlines()) == 1
    assert set(folder.rglob("*")) == before


def test_results_that_are_not_there_are_a_sentence(folder: Path) -> None:
    said = phasetune("ui", "nowhere")
    assert said.code == 2
    assert "holds no study; name a results root" in said.err
    assert not (folder / "nowhere").exists()


def test_a_port_that_is_taken_is_a_sentence(results: ResultsPaths) -> None:
    put_database(results.mlflow)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = phasetune("ui", results.root, "--port", str(port))
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: port {port} of 127.0.0.1 is taken; name another, or leave --port out\n"
    )


def test_a_server_has_pages_of_its_own(results: ResultsPaths, folder: Path) -> None:
    kept(folder, "two", tracking={"mlflow": "http://me:secret@host:5000"})
    said = phasetune("ui", results.root, "--study", "two")
    assert said.code == 0
    assert "which has pages of its own: http://me:***@host:5000" in said.out


def test_several_stores_are_a_sentence(results: ResultsPaths, folder: Path) -> None:
    kept(folder, "two", tracking={"mlflow": "http://host:5000"})
    said = phasetune("ui", results.root)
    assert said.code == 2
    assert "the studies one, two are told to several stores; choose by --study NAME" in said.err


def test_a_study_that_nobody_is_told_of_is_a_sentence(results: ResultsPaths, folder: Path) -> None:
    kept(folder, "two", tracking="none")
    said = phasetune("ui", results.root, "--study", "two")
    assert said.code == 2
    assert "is tracked by mlflow; see `tracking:` in it" in said.err


def test_a_study_that_names_nobody_is_told_as_the_variable_says(
    results: ResultsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASETUNE_TRACKING", "mlflow=http://host:5000")
    said = phasetune("ui", results.root)
    assert (said.code, said.err) == (0, "")
    assert "which has pages of its own: http://host:5000" in said.out
    monkeypatch.setenv("PHASETUNE_TRACKING", "jsonl")
    assert "is tracked by mlflow; see `tracking:` in it" in phasetune("ui", results.root).err
