"""A Ray cluster of one node, started by `ray start`, but on the loopback interface."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from phasetune.run.ray.address import PRIVATE_SWITCH

LOOPBACK = {PRIVATE_SWITCH: "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Also for whoever joins: else Ray takes 127.0.0.1 for another address of this machine."""

_START_SECONDS = 60.0
_COMMAND_SECONDS = 240.0


class RayHead:
    """Runs within the block; asks for the token in `token`, or for none where that is None."""

    def __init__(
        self,
        folder: Path,
        *,
        token: Path | None,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        modes = {"RAY_AUTH_MODE": "token" if token else "disabled"}
        paths = {"RAY_AUTH_TOKEN_PATH": str(token)} if token else {}
        self.environment = {**LOOPBACK, **modes, **paths, **(environment or {})}
        self._temporary = tempfile.TemporaryDirectory(prefix="ptD")  # short, for Ray's sockets
        self._process: subprocess.Popen[str] | None = None
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        with suppress(OSError):
            self._temporary.cleanup()

    def start(self) -> None:
        """Start it, or start it again at the same address."""
        log = self._folder / f"head-{secrets.token_hex(3)}.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [
                    *self._prefix, sys.executable, "-m", "ray.scripts.scripts", "start", "--head",
                    "--block", "--port", self.address.rpartition(":")[2],
                    "--temp-dir", self._temporary.name, "--include-dashboard=false",
                    "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats",
                ],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while "Ray runtime started" not in log.read_text():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def processes(self, name: str) -> list[int]:
        """Process ids of it, by their names."""
        mark = f"{self._temporary.name}/".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                if mark in command and (folder / "comm").read_text().startswith(name):
                    found.append(int(folder.name))
        return found

    def kill(self) -> None:
        """Kill all of it, as when the machine goes."""
        for pid in self.processes(""):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody listens at."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def new_token(path: Path) -> Path:
    """A file with a token of its own."""
    path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    return path


def command(folder: Path, variables: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code of a command of this program, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "phasetune", *arguments],
        cwd=folder,
        env={**os.environ, **LOOPBACK, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
