"""Joining a running cluster: real heads on the loopback interface, with a token and without."""

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import TESTS, StudyMaker
from phasetune import StudyError
from phasetune.run.ray import joining
from phasetune.run.ray.joining import reach
from phasetune.run.ray.session import ARENAS
from phasetune.run.ray.token import AUTHENTICATION
from phasetune.study.dump import yaml_text
from ray_head import RayHead, command, free_port, new_token

pytestmark = pytest.mark.ray

READS = """
import os, sys
import ray
from phasetune.run.ray.session import ARENAS, cluster
with cluster(sys.argv[1]):
    print(ray.get(ray.remote(lambda: os.environ.get(ARENAS)).remote()))
"""
VARIABLES = ("RAY_ADDRESS", AUTHENTICATION, "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
SAYS = """
import json, sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_put(b"CLUSTER_METADATA", sys.argv[2].encode(), True,
    b"cluster")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heads")


@pytest.fixture(scope="module")
def head(folder: Path) -> Iterator[RayHead]:
    """One that asks for a token, started with the variables that the page on clusters exports."""
    text = (TESTS.parent / "docs" / "cluster.md").read_text()
    exported = dict(re.findall(r"(MALLOC\w+)=(\w+)", text))
    with RayHead(folder, token=new_token(folder / "token"), environment=exported) as found:
        yield found


@pytest.fixture(scope="module")
def open_head(folder: Path) -> Iterator[RayHead]:
    """One that asks for none, and runs an older Ray, by what it says."""
    with RayHead(folder, token=None) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without a token, and an environment that says nothing of one."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_with_the_right_token_nothing_is_wrong(
    home: Path, head: RayHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", head.environment["RAY_AUTH_TOKEN_PATH"])
    found = reach(head.address)
    assert (found.address, found.asks_for_token, found.warning) == (head.address, True, None)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("none", "asks for a token, and there is none here; copy that of the machine where the"),
        ("another", "asks for another token than that in {home}/other; copy that of the machine"),
        ("in a variable", "asks for another token than that in RAY_AUTH_TOKEN; unset it, or set"),
        ("disabled", "asks for a token, but RAY_AUTH_MODE is 'disabled' here; unset it"),
        ("a folder", "asks for a token, and {home}/.ray/auth_token can't be read; make it yours"),
    ],
)
def test_without_the_token_it_says_what_to_do(
    home: Path, head: RayHead, monkeypatch: pytest.MonkeyPatch, case: str, message: str
) -> None:
    if case == "another":
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(new_token(home / "other")))
    if case == "in a variable":
        monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 32)
    if case == "disabled":
        monkeypatch.setenv(AUTHENTICATION, "disabled")
    if case == "a folder":
        (home / ".ray" / "auth_token").mkdir(parents=True)
    with pytest.raises(StudyError) as refused:
        reach(head.address)
    told = f"--address {head.address}: the cluster {message.format(home=home)}"
    assert str(refused.value).startswith(told)


def test_one_that_asks_for_no_token_is_told_of_and_other_versions_are_refused(
    home: Path, open_head: RayHead
) -> None:
    found = reach(open_head.address)
    assert not found.asks_for_token
    assert found.warning == (
        f"warning: the cluster at {open_head.address} asks for no token, so whoever reaches it can "
        "run code on its machines as you; start its nodes with RAY_AUTH_MODE=token"
    )
    said = json.dumps({"ray_version": "2.1.0", "python_version": "3.9.1"})
    environment = {**os.environ, AUTHENTICATION: "disabled"}
    subprocess.run(
        [sys.executable, "-c", SAYS, open_head.address, said], check=True, env=environment
    )
    with pytest.raises(StudyError, match=r"runs Ray 2\.1\.0 with Python 3\.9\.1, and this machine"):
        reach(open_head.address)


def test_where_nobody_or_somebody_else_answers(home: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(StudyError) as refused:
        reach(nowhere)
    assert str(refused.value) == (
        f"--address {nowhere}: no Ray head answers there (Connection refused); start it there with "
        "`RAY_AUTH_MODE=token ray start --head`, or leave --address out"
    )
    with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(StudyError, match="what answers there is no Ray head; give the address"):
            reach(f"127.0.0.1:{server.server_address[1]}")


def test_a_head_that_tells_nothing_is_not_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, head: RayHead
) -> None:
    monkeypatch.setattr(joining, "PROBE_SECONDS", 0.01)
    with pytest.raises(
        StudyError, match=r"tells nothing of itself within 0\.01 s; look at its log"
    ):
        reach(head.address)


def test_a_command_that_can_t_join_ends_with_2_and_one_sentence(
    home: Path, head: RayHead, scripted_study: StudyMaker
) -> None:
    code, output = command(home, {}, "run", write(home, scripted_study), "--address", head.address)
    assert code == 2, output
    assert "error: --address 127.0.0.1:" in output
    assert "Traceback" not in output


def test_workers_of_a_cluster_as_on_its_page_take_memory_from_one_heap(
    home: Path, head: RayHead
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READS, head.address],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **head.environment, ARENAS: "7"},
    )
    assert done.stdout.split() == ["1"]


def test_two_studies_share_a_cluster_and_a_third_stays_private(
    home: Path, head: RayHead, scripted_study: StudyMaker
) -> None:
    token = {"RAY_AUTH_TOKEN_PATH": head.environment["RAY_AUTH_TOKEN_PATH"]}
    found: dict[str, tuple[int, str]] = {}

    def run(name: str, *options: str, **variables: str) -> None:
        (home / name).mkdir()
        study = write(home / name, scripted_study)
        found[name] = command(home / name, {**token, **variables}, "run", study, *options)

    threads = [
        threading.Thread(target=run, args=("one", "--address", head.address)),
        threading.Thread(target=run, args=("two", "--address", head.address)),
        threading.Thread(target=run, args=("own",), kwargs={"RAY_ADDRESS": head.address}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _ in found.values()] == [0, 0, 0], found
    reports = {(home / name / "results/scripted/report.json").read_bytes() for name in found}
    assert len(reports) == 1
    logs = {name: (home / name / "results/scripted/logs/ray.log").exists() for name in found}
    assert all(logs.values())
    assert len(head.processes("raylet")) == 1  # the third has started its own, and ended it


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.0 400 " + self.request.recv(1))


def write(folder: Path, scripted_study: StudyMaker) -> str:
    phases = [{"name": "one", "points": [{}]}]
    study = scripted_study(phases=phases, final={"refit": False, "test": False})
    (folder / "study.yaml").write_text(yaml_text(study.model_dump(mode="json", exclude_unset=True)))
    return "study.yaml"
