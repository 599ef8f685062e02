"""From errors to exit codes."""

import signal
import sys

import pytest
import typer

from phasetune import StoreError
from phasetune.cli.guard import guarded, same_command
from phasetune.run.interrupt import Interrupted


def test_each_problem_is_a_line_and_the_exit_code_is_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, guarded(debug=False):
        raise StoreError(["one is wrong", "two is wrong"])
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: one is wrong\nerror: two is wrong\n"


def test_with_debug_the_traceback_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, guarded(debug=True):
        raise StoreError("wrong")
    assert left.value.exit_code == 2
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("error: wrong\n")


@pytest.mark.parametrize("debug", [True, False])
def test_a_secret_is_not_shown(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), guarded(debug=debug):
        raise StoreError("postgres://ann:hunter2@db can't be reached")
    said = capsys.readouterr().err
    assert said.endswith("error: postgres://ann:***@db can't be reached\n")
    assert "hunter2" not in said


@pytest.mark.parametrize("debug", [True, False])
def test_a_bug_flies(debug: bool) -> None:
    with pytest.raises(ZeroDivisionError), guarded(debug=debug):
        raise ZeroDivisionError


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_has_the_code_of_its_signal(
    signum: signal.Signals,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/phasetune", "run", "my study.yaml"])
    with pytest.raises(typer.Exit) as ended, guarded(debug=False):
        raise Interrupted(signum)
    assert ended.value.exit_code == code
    said = capsys.readouterr().err.splitlines()
    assert signum.name in said[0]
    assert said[1] == "  phasetune run 'my study.yaml'"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["/bin/phasetune", "run", "a.yaml", "seed=2"], "phasetune run a.yaml seed=2 --more"),
        (["phasetune", "run", "a.yaml", "--more"], "phasetune run a.yaml --more"),
        (["phasetune", "run", "data.password=a b"], "phasetune run 'data.password=***' --more"),
        (["/x/__main__.py", "run"], f"{sys.executable} -m phasetune run --more"),
    ],
)
def test_the_same_command_with_one_argument_more(
    argv: list[str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert same_command("--more") == line
