"""The live display: what it draws at any size, and that it gives the terminal back."""

import fcntl
import io
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.conftest import StudyWriter, phasetune
from happenings import (
    BUSY,
    STARTED,
    Told,
    begins,
    decided,
    done,
    phase,
    picture,
    starts,
    wave,
)
from phasetune.cli.display.canvas import Canvas
from phasetune.cli.display.formats import LogFormat, is_live
from phasetune.cli.display.picture import study_view
from phasetune.cli.display.surroundings import Surroundings, Surveyor
from phasetune.run.devices import Gpu
from phasetune.run.events import BackendStarting, WaveStarted
from phasetune.run.picture.study import Picture
from phasetune.store.paths import ResultsPaths
from phasetune.store.space import GIB


def drawn(
    found: Picture, canvas: Canvas, *, now: float = 6, around: Surroundings | None = None
) -> str:
    view = study_view(found, canvas, now=now, around=around or Surroundings())
    console = Console(file=io.StringIO(), width=canvas.columns, color_system=None, highlight=False)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_look_tells_where_the_study_stands() -> None:
    lines = drawn(picture(*BUSY), Canvas(columns=80, lines=24)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "toy phase 1 of 2 one 6 s, ~16 s left",
        f"trials {'━' * 12}{'─' * 12} 2 of 4 1 feasible, 1 infeasible (1 reused)",
        f"runs {'━' * 12}{'─' * 12} 2 of 4 1 failed, 2 running phase: ~8 s left",
        "best reused score 0.5000",
        "overall c score 0.9000 infeasible",
        "",
        "running step val_loss val_score left",
        "fit width=8 1/10 0.25 0.75 7 s",
        "fit width=16 8 s",
        "",
        "machine ray on cpu; 2 runs at once; a run takes up to 1.5 GiB",
    ]


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 40))
def test_it_fits_any_terminal(columns: int, lines: int, running: int) -> None:
    more: Told = [(5, starts(f"fit a long name of a run, number {n}")) for n in range(running)]
    around = Surroundings(disk_free_bytes=GIB, store_bytes=GIB)
    text = drawn(picture(*BUSY, *more), Canvas(columns=columns, lines=lines), around=around)
    assert len(text.splitlines()) <= lines or columns < 20
    assert all(len(line) <= max(20, columns) for line in text.splitlines())


@pytest.mark.parametrize("columns", [45, 100])
def test_runs_without_room_are_counted(columns: int) -> None:
    more: Told = [(5, starts(f"fit {n}")) for n in range(28)]
    text = drawn(picture(*BUSY, *more), Canvas(columns=columns, lines=22))
    shown = sum(line.startswith("fit ") for line in text.splitlines())
    assert shown > 2
    assert f"and {30 - shown} more" in text.splitlines()


def test_a_narrow_terminal_is_told_the_same_in_more_lines() -> None:
    text = drawn(picture(*BUSY), Canvas(columns=45, lines=40))
    for words in (
        "phase 1 of 2  one",
        "1 feasible, 1 infeasible",
        "overall  c  score 0.9000\n         infeasible\n",
        "1/10  7 s left\n  val_loss 0.25  val_score 0.75",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("told", "words"),
    [
        pytest.param([(0, begins())], "starting", id="before a plan"),
        pytest.param([*STARTED], "time left unknown", id="nothing ended"),
        pytest.param(
            [*STARTED[:2], (2, BackendStarting(backend="ray"))], "ray is starting", id="starting"
        ),
        pytest.param([*STARTED, (9, decided(winner="a"))], "won      one: a", id="decided"),
        pytest.param([*STARTED, (9, wave("final", 1))], "toy  final", id="final"),
    ],
)
def test_what_is_not_known_is_said(told: Told, words: str) -> None:
    assert words in drawn(picture(*told), Canvas(columns=80, lines=24))


def test_without_other_letters_the_bars_are_plain() -> None:
    text = drawn(picture(*BUSY), Canvas(columns=80, lines=24, is_ascii=True))
    assert text.isascii()
    assert "############------------  2 of 4" in text


def test_gpus_are_shown_where_runs_use_them() -> None:
    gpu = Gpu(name="G", total_bytes=80 * GIB, free_bytes=60 * GIB, compute_capability=9.0)
    around = Surroundings(gpus=(gpu,))
    told: Told = [(0, begins()), (1, phase(fit=4))]
    used = {"peak_gpu_memory_gib": 12.0, "gpu_use_percent": 85.0}
    ended: Told = [(3, done("a", resources=used))]
    begun = WaveStarted(phase="one", runs=4, backend="ray", device="cuda", attempt=Path("a"))
    text = drawn(picture(*told, (2, begun), *ended), Canvas(columns=110, lines=24), around=around)
    assert (
        "GPU 0 20.0 GiB of 80.0 GiB; a run takes up to 12.0 GiB on the GPU, GPU 85% in use" in text
    )
    assert "GPU" not in drawn(picture(*BUSY), Canvas(columns=110, lines=24), around=around)


def test_names_drive_no_terminal() -> None:
    told: Told = [(3, starts("fit \x1b[2J\rname"))]
    text = drawn(picture(*STARTED, *told), Canvas(columns=80, lines=24))
    assert "\x1b" not in text
    assert "fit ?[2J?name" in text


def test_the_surroundings_are_those_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "file").write_bytes(bytes(5000))
    surveyor = Surveyor(ResultsPaths(tmp_path))
    surveyor.ask()
    assert surveyor.known.disk_free_bytes
    assert surveyor.known.store_bytes is None, "walking it takes too long for one look"


@pytest.mark.parametrize(
    ("is_terminal", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "xterm", "CI": "true"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
    ids=["terminal", "dumb", "CI", "pipe"],
)
def test_a_display_is_for_terminals(
    is_terminal: bool, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert is_live(LogFormat.AUTO) is expected
    assert not is_live(LogFormat.PLAIN)


def test_a_display_without_a_terminal_is_refused(written: StudyWriter) -> None:
    said = phasetune("run", written(), "--in-process", "--log-format", "live")
    assert said.code == 2
    assert "error: --log-format live needs a terminal" in said.err


def on_terminal(arguments: Sequence[str], folder: Path, *, asks_after: str = "") -> tuple[int, str]:
    """Run the command on a terminal of 90 x 30; ends it by SIGINT after it printed something."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    without_ci = {name: value for name, value in os.environ.items() if name != "CI"}
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**without_ci, "TERM": "xterm"},
    )
    os.close(theirs)
    text, is_asked = "", not asks_after
    while chunk := _read(ours):
        text += chunk
        if not is_asked and asks_after in text:
            process.send_signal(signal.SIGINT)
            is_asked = True
    os.close(ours)
    return process.wait(), text


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # nobody has it open any more
        return ""


def test_a_run_on_a_terminal(written: StudyWriter, folder: Path) -> None:
    points = [{"train.fault": "raise"}, {"train.value": 0.6, "train.seconds": 0.15}]
    study = written(phases=[{"name": "one", "points": points}])
    code, text = on_terminal(["run", str(study), "--in-process"], folder)
    assert code == 0
    assert "phase 1 of 1" in text
    assert "FAILED  2/3 train fault=raise fold 1/5: ValueError: scripted failure" in text
    assert "Executed 5 of 5 distinct runs" in text
    assert "done    " not in text
    assert "\x1b[?25l" not in text, "a hidden cursor would stay hidden after a kill"


def test_an_interrupted_run_gives_the_terminal_back(written: StudyWriter, folder: Path) -> None:
    study = written(params={"train": {"seconds": 0.2, "steps": 100}})
    arguments = ["run", str(study), "--in-process"]
    code, text = on_terminal(arguments, folder, asks_after="running")
    assert code == 130
    last = text.rpartition("\x1b[2K")[2].replace("\r", "")
    assert last.startswith("interrupted (SIGINT)")
    assert "stopping: waits up to 15 s" in text
