"""Study files and the command line, in this process and in one of its own."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import StudyMaker
from phasetune.cli.main import app
from phasetune.study.dump import yaml_text

StudyWriter = Callable[..., Path]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, however it was wrapped."""
        return " ".join(self.out.split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(folder: Path, scripted_study: StudyMaker) -> StudyWriter:
    """Write the scripted study, with changes, as a file."""

    def write(file: str = "study.yaml", **changes: Any) -> Path:
        content = scripted_study(**changes).model_dump(mode="json", exclude_unset=True)
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text(content))
        return path

    return write


def phasetune(*arguments: str | Path, columns: int = 100) -> Said:
    """The command in this process."""
    given = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, given, env={"COLUMNS": str(columns)}, prog_name="phasetune")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(code=result.exit_code, out=result.stdout, err=result.stderr)


def command(*arguments: str | Path, folder: Path) -> Said:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "phasetune", *(str(argument) for argument in arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)
