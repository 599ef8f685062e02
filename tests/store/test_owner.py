"""A process that a lock names: told apart from all others, and never called dead without proof."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.store import owner as owners
from phasetune.store.owner import Owner

NAMES_ITSELF = """
import sys
from phasetune.store.owner import Owner
print(Owner.of_this_process().content.decode(), end="", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process() -> "Iterator[subprocess.Popen[bytes]]":
    """Another process, which names itself on its first line and then waits."""
    started = subprocess.Popen(
        [sys.executable, "-c", NAMES_ITSELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield started
    started.kill()
    started.communicate()


def named(process: "subprocess.Popen[bytes]") -> Owner:
    assert process.stdout is not None
    owner = Owner.of_content(process.stdout.readline())
    assert owner is not None
    return owner


def test_a_process_says_who_it_is_and_is_read_back() -> None:
    owner = Owner.of_this_process()
    assert owner.pid == os.getpid()
    assert not owner.is_gone
    assert Owner.of_content(owner.content) == owner
    assert Owner.of_content(owner.content + b"the rest of a longer one") == owner


def test_another_process_is_gone_when_it_was_killed_and_before_its_parent_asks(
    process: "subprocess.Popen[bytes]",
) -> None:
    owner = named(process)
    assert (owner.pid, owner.is_gone) == (process.pid, False)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert owner.is_gone
    process.communicate()
    assert owner.is_gone


def test_a_stopped_process_lives(process: "subprocess.Popen[bytes]") -> None:
    owner = named(process)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert not owner.is_gone


@pytest.mark.parametrize(
    ("changes", "is_gone"),
    [
        pytest.param({}, False, id="this process"),
        pytest.param({"started_ticks": 1}, True, id="an earlier process that had this pid"),
        pytest.param({"pid": 2**31 - 1}, True, id="a pid that no process has"),
        pytest.param({"host": "another", "since": "2999-01-01"}, False, id="another name and time"),
        pytest.param({"boot": "another", "started_ticks": 1}, False, id="another boot"),
        pytest.param({"pid_namespace": "pid:[1]", "pid": 2**31 - 1}, False, id="a container"),
    ],
)
def test_only_what_was_proven_is_gone(changes: dict[str, Any], is_gone: bool) -> None:
    assert replace(Owner.of_this_process(), **changes).is_gone is is_gone


def test_where_the_system_tells_no_boot_nobody_is_known_to_be_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owners, "_boot", lambda: "")
    owner = replace(Owner.of_this_process(), pid=2**31 - 1)
    assert not owner.is_of_this_machine
    assert not owner.is_gone


def test_a_process_that_this_user_may_not_look_at_is_not_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    owner = Owner.of_this_process()
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(owners, "_state", lambda _: None)
    assert not owner.is_gone


def changed(**changes: Any) -> bytes:
    return json.dumps({**asdict(Owner.of_this_process()), **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(Owner.of_this_process().content[:60], id="torn"),
        pytest.param(bytes(100), id="zeros"),
        pytest.param(b"\xff\xfe[1]", id="not text"),
        pytest.param(b"[" * 20_000, id="deep"),
        pytest.param(b"[1, 2]", id="a list"),
        pytest.param(b'{"pid": 1}', id="incomplete"),
        pytest.param(changed(pid="12"), id="pid is text"),
        pytest.param(changed(pid=True), id="pid is true"),
        pytest.param(changed(pid=0), id="no pid"),
        pytest.param(changed(pid=-1), id="a group of processes"),
        pytest.param(changed(pid=2**40), id="too large a pid"),
        pytest.param(changed(host=None), id="no host"),
    ],
)
def test_what_names_nobody_is_nobody(content: bytes) -> None:
    assert Owner.of_content(content) is None


@given(content=st.binary(max_size=300))
def test_whatever_a_file_says_is_read_without_an_error(content: bytes) -> None:
    assert Owner.of_content(content) is None


def test_a_command_is_shown_short_in_one_line_and_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "https://me:hunter2@tracking.example"
    monkeypatch.setattr(sys, "argv", ["/bin/phasetune", "run", "a\nb.yaml", address, *["x"] * 200])
    command = Owner.of_this_process().command
    assert command.startswith("phasetune run 'a b.yaml' ")
    assert "https://me:***@tracking.example" in command
    assert len(command) <= 200


def test_what_a_file_says_moves_no_cursor() -> None:
    owner = replace(Owner.of_this_process(), host="here\x1b[2J\n", command=shlex.join(["a", "b c"]))
    assert str(owner) == (f"pid {os.getpid()} on here?[2J?, since {owner.since}, `a 'b c'`")


def test_the_start_of_a_program_with_an_odd_name_is_found(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(sys.executable)
    waits = [str(program), "-c", "print(flush=True); input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        earlier = replace(Owner.of_this_process(), pid=odd.pid)
        assert earlier.is_gone, "it started at another instant"
        odd.communicate(b"\n")
