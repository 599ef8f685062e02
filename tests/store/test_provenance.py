import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from phasetune.store.provenance import command_line, environment_class, git_state, software

CLASS: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}

IN_A_FRESH_PROCESS = """
import json, sys
from phasetune.store.provenance import environment_class
found = environment_class(device="cpu", precision="fp32", threads=1)
heavy = sorted({"torch", "sklearn", "numpy", "scipy", "ray", "pandas"} & set(sys.modules))
print(json.dumps({"class": found, "heavy": heavy}))
"""


def test_an_environment_class_is_told_without_importing_what_it_names() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["heavy"] == []
    assert told["class"] == environment_class(**CLASS)


def test_an_environment_class_holds_the_versions_that_are_installed() -> None:
    numpy = pytest.importorskip("numpy")
    found = environment_class(**CLASS)
    assert found["libraries"]["numpy"] == numpy.__version__
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert "phasetune" not in found["libraries"]
    assert "phasetune" in software()


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"precision": "bf16"}, {"threads": 2}])
def test_another_device_precision_or_threads_is_another_class(change: dict[str, Any]) -> None:
    assert environment_class(**{**CLASS, **change}) != environment_class(**CLASS)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_state_of_a_work_tree(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert git_state(outside) is None
    assert git_state(tmp_path / "missing") is None
    repository = tmp_path / "repository"
    repository.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=repository, check=True)
    clean = git_state(repository)
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (repository / "new.txt").write_text("text")
    assert git_state(repository) == {**clean, "dirty": True}


def test_a_command_line_has_no_path_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/phasetune", "run", "study.yaml"])
    assert command_line() == ["phasetune", "run", "study.yaml"]


def test_a_package_is_named_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/phasetune/__main__.py", "run", "study.yaml"])
    assert command_line() == ["python", "-m", "phasetune", "run", "study.yaml"]


def test_a_command_line_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["phasetune", "run", "data.url=https://me:hush@host/x"])
    assert command_line() == ["phasetune", "run", "data.url=https://me:***@host/x"]
