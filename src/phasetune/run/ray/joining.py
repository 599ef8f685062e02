"""Whether a cluster can be joined, asked before Ray is: within seconds, and told in one sentence.

Is it there, does it ask for a token, is this the right one, does it run the same Ray?
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from phasetune.errors import StudyError
from phasetune.run.ray.address import resolved_address
from phasetune.run.ray.greeting import NO_HEAD, silence
from phasetune.run.ray.token import (
    is_authentication_on,
    is_token_in_environment,
    token_file,
)

PROBE_SECONDS = 60.0
_START = "`RAY_AUTH_MODE=token ray start --head`"
_COPY = (
    "copy that of the machine where the head was started (~/.ray/auth_token) to {path}, readable "
    "for you alone (mode 0600), or name another file in RAY_AUTH_TOKEN_PATH"
)
OPEN = (
    "warning: the cluster at {address} asks for no token, so whoever reaches it can run code on "
    "its machines as you; start its nodes with RAY_AUTH_MODE=token"
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head that lets this process join."""

    address: str
    asks_for_token: bool

    @property
    def warning(self) -> str | None:
        """What should be known of it."""
        return None if self.asks_for_token else OPEN.format(address=self.address)


def reach(address: str) -> Head:
    """The head that `--address` (`auto` or HOST:PORT) means, as far as it can be asked from here.

    Raises:
        StudyError: there is none, it refuses the token, or it runs another Ray or Python.
    """
    place = resolved_address(address)
    unheard = silence(place)
    if unheard is not None:
        raise StudyError(f"--address {address}{_meant(address, place)}: {unheard}; {_way(unheard)}")
    said = _asked(place)
    problem = _token_problem(said) or _version_problem(said)
    if problem is not None:
        raise StudyError(f"--address {address}{_meant(address, place)}: {problem}")
    return Head(address=place, asks_for_token=bool(said.get("asks_for_token")))


def _meant(address: str, place: str) -> str:
    return "" if address == place else f" ({place})"


def _way(unheard: str) -> str:
    if unheard == NO_HEAD:
        return f"give the address that {_START} printed; its port is 6379 where none was chosen"
    return f"start it there with {_START}, or leave --address out"


def _asked(place: str) -> dict[str, Any]:
    """What the head said to a process of its own.

    Raises:
        StudyError: it said nothing in time, or could not be asked.
    """
    try:
        done = subprocess.run(  # noqa: S603 - this program
            [sys.executable, "-m", "phasetune.run.ray.probe", place],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StudyError(
            f"--address {place}: a head is there, but tells nothing of itself within "
            f"{PROBE_SECONDS:g} s; look at its log, gcs_server.out, or start it again"
        ) from None
    if done.returncode != 0:
        raise StudyError(
            f"--address {place}: the head could not be asked: {_last_line(done)}; nothing was "
            "started, so the same command may be tried again"
        )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"the process that asked ended with {done.returncode}"


def _token_problem(said: dict[str, Any]) -> str | None:
    if not said.get("asks_for_token"):
        return None
    if not is_authentication_on():
        return (
            "the cluster asks for a token, but RAY_AUTH_MODE is "
            f"{os.environ['RAY_AUTH_MODE']!r} here; unset it"
        )
    if is_token_in_environment():
        where = "RAY_AUTH_TOKEN" if said.get("is_refused") else None
        return where and (
            f"the cluster asks for another token than that in {where}; unset it, or set it to the "
            "cluster's"
        )
    return _file_problem(is_refused=bool(said.get("is_refused")))


def _file_problem(*, is_refused: bool) -> str | None:
    file = token_file()
    if not file.is_there:
        return (
            f"the cluster asks for a token, and there is none here; {_COPY.format(path=file.path)}"
        )
    if not file.is_readable:
        return f"the cluster asks for a token, and {file.path} can't be read; make it yours"
    if is_refused:
        return (
            f"the cluster asks for another token than that in {file.path}; "
            f"{_COPY.format(path='it')}"
        )
    return None


def _version_problem(said: dict[str, Any]) -> str | None:
    """As Ray compares them: by default also the last number of Python's version counts."""
    there = (said.get("ray"), said.get("python"))
    here = (version("ray"), platform.python_version())
    level = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "patch")
    if None in there or _compared(there, level) == _compared(here, level):
        return None
    return (
        f"the cluster runs Ray {there[0]} with Python {there[1]}, and this machine Ray {here[0]} "
        f"with Python {here[1]}; install the same on all machines and start the cluster again"
    )


def _compared(versions: tuple[Any, Any], level: str) -> tuple[str, ...]:
    ray, python = versions
    return (str(ray), *str(python).split(".")[: 2 if level == "minor" else 3])
