"""What a run prints: where it goes, what is left of it when things go wrong, and its last lines."""

# ruff: noqa: T201 - to print is what is tested

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.run.logs import Streams, last_lines, logged


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "runs" / "train-0123.log"


def printed(log: Path) -> list[str]:
    """What stands in a log, without the lines that begin a try."""
    return [line for line in log.read_text().splitlines() if not line.startswith("=== ")]


def child(**streams: object) -> None:
    code = "import sys; print('hello'); print('hello', file=sys.stderr)"
    subprocess.run([sys.executable, "-c", code], check=True, **streams)  # type: ignore[call-overload]


PYTHON: dict[str, Callable[[], object]] = {
    "print": lambda: print("hello"),
    "stderr": lambda: print("hello", file=sys.stderr),
    "in parts": lambda: print("hel", "lo", sep=""),
    "bytes": lambda: sys.stdout.buffer.write(b"hello\n"),
    "no end of line": lambda: sys.stdout.write("hello"),
    "given to a child": lambda: child(stdout=sys.stdout, stderr=subprocess.DEVNULL),
}
BELOW: dict[str, Callable[[], object]] = {
    "descriptor 1": lambda: os.write(1, b"hello\n"),
    "descriptor 2": lambda: os.write(2, b"hello\n"),
    "C, held back": lambda: ctypes.CDLL(None).printf(b"hello\n"),
    "Python's own, held back": lambda: sys.__stdout__ and sys.__stdout__.write("hello"),
    "child": lambda: child(),
}


@pytest.mark.parametrize("is_worker", [False, True], ids=["in-process", "worker"])
@pytest.mark.parametrize("say", PYTHON.values(), ids=PYTHON)
def test_what_python_prints_goes_to_the_log(
    log: Path, say: Callable[[], object], is_worker: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(log, attempt="0001", is_worker=is_worker):
        say()
    assert "hello" in log.read_text()
    print("after")
    assert capfd.readouterr() == ("after\n", "")


@pytest.mark.parametrize("say", BELOW.values(), ids=BELOW)
def test_in_a_worker_what_is_printed_below_python_goes_there_too(
    log: Path, say: Callable[[], object], capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(log, attempt="0001", is_worker=True):
        say()
    assert set(printed(log)) == {"hello"}
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("after\n", "")


def test_elsewhere_the_descriptors_are_left_alone(
    log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(log, attempt="0001", is_worker=False):
        os.write(1, b"of the display\n")
    assert capfd.readouterr().out == "of the display\n"
    assert not log.exists()


@pytest.mark.parametrize("is_worker", [False, True], ids=["in-process", "worker"])
def test_who_prints_nothing_leaves_no_file_and_changes_none(log: Path, is_worker: bool) -> None:
    with logged(log, attempt="0001", is_worker=is_worker):
        pass
    assert not log.exists()
    with logged(log, attempt="0001", is_worker=is_worker):
        print("hello")
    assert log.stat().st_mode & 0o777 == 0o600
    before = log.read_bytes()
    with logged(log, attempt="0002", is_worker=is_worker):
        pass
    assert log.read_bytes() == before


@pytest.mark.parametrize("is_worker", [False, True], ids=["in-process", "worker"])
def test_each_try_appends_behind_a_line_of_its_own(log: Path, is_worker: bool) -> None:
    log.parent.mkdir(parents=True)
    log.write_text("torn in the midd")
    for attempt in ("0001", "0002"):
        with logged(log, attempt=attempt, is_worker=is_worker):
            print("out")
            print("err", file=sys.stderr)
    torn, first, *said, second, _, _ = log.read_text().splitlines()
    assert (torn, said) == ("torn in the midd", ["out", "err"])
    for attempt, header in (("0001", first), ("0002", second)):
        assert header.startswith(f"=== attempt {attempt}, 20")
        assert header.endswith(f", process {os.getpid()}")


BY_DEFAULT = """
import logging, sys, warnings
from pathlib import Path
from phasetune.run.logs import logged
with logged(Path(sys.argv[1]), attempt="0001", is_worker=False):
    logging.getLogger("of.a.stage").warning("logged")
    warnings.warn("warned of")
"""


def test_what_python_s_defaults_say_goes_there_too(log: Path) -> None:
    run = [sys.executable, "-c", BY_DEFAULT, str(log)]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert printed(log) == ["logged", "<string>:7: UserWarning: warned of"]


def test_a_handler_that_a_run_made_prints_wherever_the_process_prints_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, first, second = logging.getLogger("made.once"), tmp_path / "1", tmp_path / "2"
    with logged(first, attempt="0001", is_worker=False):
        handler = logging.StreamHandler()
        logger.addHandler(handler)
        logger.warning("in the first")
    with logged(second, attempt="0001", is_worker=False):
        logger.warning("in the second")
    logger.warning("in none")
    logger.removeHandler(handler)
    assert (printed(first), printed(second)) == (["in the first"], ["in the second"])
    assert capsys.readouterr() == ("", "in none\n")


def test_a_handler_that_was_made_before_prints_to_the_log_meanwhile(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler()
    logging.root.addHandler(handler)
    try:
        with logged(log, attempt="0001", is_worker=False):
            logging.getLogger("any").warning("within")
        logging.getLogger("any").warning("after")
    finally:
        logging.root.removeHandler(handler)
    assert printed(log) == ["within"]
    assert capsys.readouterr().err == "after\n"


def test_streams_that_were_kept_can_be_lent(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Streams.now()
    with logged(log, attempt="0001", is_worker=False):
        with before.lent():
            print("to people")
        print("to the log")
    assert capsys.readouterr().out == "to people\n"
    assert printed(log) == ["to the log"]


def test_secrets_are_masked_and_what_is_no_text_is_kept(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-open-sesame")
    with logged(log, attempt="0001", is_worker=True):
        print("the key is", "sesame-open-sesame")
        print("password=hunter22 and more")
        sys.stdout.buffer.write(b"\xff\xfe\n")
        os.write(1, b"raw sesame-open-sesame\n")
    assert b"the key is ***\npassword=*** and more\n\xff\xfe\n" in log.read_bytes()
    assert last_lines(log, count=1) == ("raw ***",)


def refuses(log: Path, how: str) -> None:
    if how == "no room":
        log.parent.mkdir(parents=True)
        log.symlink_to("/dev/full")
    elif how == "a folder is there":
        log.mkdir(parents=True)
    else:
        log.parents[1].write_text("a file where a folder belongs")


@pytest.mark.parametrize("is_worker", [False, True], ids=["in-process", "worker"])
@pytest.mark.parametrize("how", ["no room", "a folder is there", "no folder can be made"])
def test_a_disk_that_refuses_fails_no_run(
    log: Path, how: str, is_worker: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    refuses(log, how)
    with logged(log, attempt="0001", is_worker=is_worker):
        for _ in range(10_000):
            print("hello")
        sys.stdout.flush()
    assert last_lines(log) == ()
    assert capfd.readouterr().out == ""


VICTIM = """
import os, signal, sys
from pathlib import Path
from phasetune.run.logs import logged
with logged(Path(sys.argv[1]), attempt="0001", is_worker=True):
    {says}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("says", "left"),
    [
        ("print('one'); os.write(2, b'last words')", ("one", "last words")),
        ("print('no end', end='', flush=True)", ("no end",)),
        ("pass", ()),
    ],
    ids=["both ways", "in the middle of a line", "nothing"],
)
def test_what_a_killed_worker_printed_is_there(log: Path, says: str, left: tuple[str, ...]) -> None:
    with logged(log, attempt="0001", is_worker=False):
        print("of an earlier try")
    done = subprocess.run([sys.executable, "-c", VICTIM.format(says=says), str(log)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert last_lines(log) == left


LINES = {
    "plain": ("one\ntwo\n", ("one", "two")),
    "no end": ("one\ntwo", ("one", "two")),
    "empty ones": ("one\n\n \n\t\ntwo\n\n", ("one", "two")),
    "more than ten": ("".join(f"{i}\n" for i in range(30)), tuple(map(str, range(20, 30)))),
    "progress": ("\r 10%|#\r 50%|###\r100%|#####\nend\n", ("100%|#####", "end")),
    "progress that goes on": ("\r 10%|#\r 50%|###", (" 50%|###",)),
    "ends of Windows": ("one\r\ntwo\r\n", ("one", "two")),
    "colours": ("\x1b[1;31mred\x1b[0m\n", ("red",)),
    "clears the screen": ("\x1b[2J\x1b[Hafter\n", ("after",)),
    "a title": ("\x1b]0;title\x07after\x1b]2;more\x1b\\.\n", ("after.",)),
    "a title without end": ("before\x1b]0;title\nnext\n", ("before", "next")),
    "bells and zeros": ("a\x07b\x00c\x08d\x9b1m\n", ("abcd1m",)),
    "turned around": ("a\u202eb\u2066c\n", ("abc",)),
    "tabs": ("a\tb\n", ("a   b",)),
    "long": ("x" * 500 + "\n", ("x" * 299 + "…",)),
    "as long as may be": ("x" * 300 + "\n", ("x" * 300,)),
    "newest try": ("=== attempt 0001, a\nold\n=== attempt 0002, b\nnew\n", ("new",)),
    "newest try said nothing": ("=== attempt 0001, a\nold\n=== attempt 0002, b\n", ()),
    "a secret": ("token=abcdefgh\n", ("token=***",)),
    "nothing": ("", ()),
}


@pytest.mark.parametrize(("text", "expected"), LINES.values(), ids=LINES)
def test_last_lines_are_plain_and_few(tmp_path: Path, text: str, expected: tuple[str]) -> None:
    path = tmp_path / "a.log"
    path.write_text(text, newline="")
    assert last_lines(path) == expected


def test_of_a_large_log_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: to read it all would take hours
        file.seek(0, os.SEEK_END)
        file.write(b"cut\n" + b"y" * 1000 + b"\nlast\xff\n")
    lines = last_lines(path, count=2)
    assert (lines[0][:5], lines[1]) == ("yyyyy", "last\ufffd")
    path.write_text("z" * (1 << 20))
    assert last_lines(path) == ("z" * 299 + "…",)


def test_what_is_no_log_has_no_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert last_lines(tmp_path / "pipe") == ()
    assert last_lines(tmp_path) == ()
    assert last_lines(tmp_path / "missing") == ()


@given(content=st.binary(max_size=400))
def test_no_bytes_drive_a_terminal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(content)
    lines = last_lines(path)
    assert all(line.isprintable() and 0 < len(line) <= 300 for line in lines)
