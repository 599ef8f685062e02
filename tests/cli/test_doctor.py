"""`phasetune doctor`: a line for each part, a sentence for what is wrong, an exit code."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import command, phasetune
from phasetune.cli.doctor import print_doctor

PARTS = (
    "processor", "memory", "GPU", "threads", "versions", "disk, results", "disk, temporary", "Ray",
    "tracking", "loader",
)  # fmt: skip
NOBODY = "http://127.0.0.1:1"  # a port of the system that no tracking server has


def words(text: str) -> str:
    """What was said, however it was wrapped."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token in a home folder of one's own."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    path = folder / "home" / ".ray" / "auth_token"
    path.parent.mkdir(parents=True)
    path.write_text("a" * 32)
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(folder / "home"))
    return path


def test_each_part_has_a_line_and_nothing_is_made(folder: Path) -> None:
    before = set(folder.rglob("*"))
    said = phasetune("doctor")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert all(any(line.startswith(part) for line in lines) for part in PARTS)
    assert "1 per run (numerics.threads of a study); torch alone would take" in said.words
    assert "auth_token (0600) is for you alone" in said.words
    assert "tracking: sqlite:///results/mlflow.db is not there yet" in said.out
    assert lines[-1] == "Studies can run here."
    assert set(folder.rglob("*")) == before


def test_help_names_each_option() -> None:
    said = phasetune("doctor", "--help")
    assert said.code == 0
    assert not [name for name in ("--results", "--tracking", "--json") if name not in said.out]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_lines_fit_the_terminal(columns: int) -> None:
    said = phasetune("doctor", columns=columns)
    assert max(len(line) for line in said.out.splitlines()) <= min(columns, 100)
    assert "torch alone would take" in said.words


def test_the_document_is_that_of_python(folder: Path) -> None:
    said = phasetune("doctor", "--json", "--results", folder / "elsewhere")
    found = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert found["is_usable"] is True
    assert found["disks"]["results"]["path"] == str(folder / "elsewhere")


def test_a_tracking_server_nobody_answers_at_is_a_warning() -> None:
    said = phasetune("doctor", "--tracking", NOBODY)
    assert said.code == 0
    assert f"tracking: {NOBODY} does not answer" in said.out
    assert f"warning: the tracking store {NOBODY} does not answer: " in said.words
    assert "Connection refused; start it, or name another" in said.words


def test_a_token_for_everybody_is_a_warning(token: Path) -> None:
    token.chmod(0o644)
    said = phasetune("doctor")
    assert said.code == 0
    assert "can be read by others (everybody)" in said.words
    assert f"type: chmod 600 {token}" in said.words


@pytest.mark.parametrize("as_json", [False, True])
def test_a_token_that_can_t_be_read_is_an_error(token: Path, as_json: bool) -> None:
    token.unlink()
    token.mkdir()
    said = phasetune("doctor", *(["--json"] if as_json else []))
    assert said.code == 1
    if as_json:
        found = json.loads(said.out)
        assert (found["is_usable"], len(found["problems"]), said.err) == (False, 1, "")
    else:
        assert words(said.err).startswith(f"error: Ray's token {token} can't be read; ")
        assert "Studies can run here." not in said.out


def test_results_in_a_file_are_an_error_and_all_else_is_told(folder: Path) -> None:
    (folder / "taken").write_text("")
    said = phasetune("doctor", "--results", "taken")
    assert said.code == 1
    assert words(said.err).startswith(
        f"error: results must be a folder, but {folder / 'taken'} is a file; name another"
    )
    assert "disk, temporary: " in said.out
    assert "Traceback" not in said.err


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = phasetune("doctor")
    assert said.code == 1
    assert said.err.startswith("error: torch can't be imported (")
    assert "threads: 1 per run (numerics.threads of a study)\n" in said.out


def test_in_a_process_of_its_own_nothing_else_is_printed(folder: Path) -> None:
    said = command("doctor", "--json", folder=folder)
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["ray"]["is_importable"] is True


GPU = {
    "name": "Card",
    "total_bytes": 80 << 30,
    "free_bytes": 40 << 30,
    "compute_capability": 9.0,
    "has_bf16": True,
    "has_tf32": True,
}
OLD = {**GPU, "compute_capability": 7.5, "has_bf16": False, "has_tf32": False}
UNTOLD = {**OLD, "total_bytes": None, "free_bytes": None, "compute_capability": None}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"gpus": [GPU]},
            "GPU 0: Card, 40.0 GiB of 80.0 GiB free, compute capability 9.0, bf16 and TF32",
        ),
        (
            {"gpus": [GPU, OLD]},
            "GPU 1: Card, 40.0 GiB of 80.0 GiB free, compute capability 7.5, no bf16, no TF32",
        ),
        (
            {"gpus": [UNTOLD]},
            "GPU 0: Card, memory unknown, compute capability unknown, no bf16, no TF32",
        ),
        ({"memory": {"total_bytes": 4 << 30, "free_bytes": None}}, "memory: 4.0 GiB"),
        (
            {"processor": {"model": "M", "cores": 8, "usable_cores": 1.5, "has_bf16": False}},
            "processor: M, 1.5 of 8 cores for this process, no bf16",
        ),
        ({"ray": {"is_importable": False}}, "Ray: can't be imported"),
        (
            {"ray": {"is_importable": True, "is_authentication_on": False}},
            "Ray: ready; token authentication is off",
        ),
        (
            {"token": {"path": None}},
            "Ray: ready; token authentication is on, the token is in the environment",
        ),
        (
            {"token": {"path": "/t", "is_there": False}},
            "Ray: ready; token authentication is on, the token /t is not there yet: Ray writes it",
        ),
        (
            {"token": None},
            "Ray: ready; token authentication is on, but there is no place for a token",
        ),
    ],
)
def test_other_machines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    line: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    found = json.loads(phasetune("doctor", "--json").out)
    if "token" in changes:
        found["ray"]["token"] = changes["token"]
    print_doctor({**found, **changes})
    assert line in capsys.readouterr().out.splitlines()
