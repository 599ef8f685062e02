"""A real S3-compatible server on this machine for tests, as a process of its own.

`bucket` is what most tests want: the URI of an empty bucket, with an environment in which this
process and those that it starts can use it. `serving()` starts another server, such as one in a
network namespace, or one that is stopped or killed on purpose.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import unescape

import pytest

_STRICT = {"INITIAL_NO_AUTH_ACTION_COUNT": "0"}
_ANNOUNCES = "Running on http://"
_SERVES = (
    "import sys; from moto.server import main; "
    "sys.argv[1:] = ['-H', sys.argv[1], '-p', sys.argv[2]]; main()"
)


@dataclass(frozen=True, kw_only=True)
class ObjectServer:
    """A server that runs at `address`, such as `http://127.0.0.1:40001`, as process `pid`."""

    address: str
    pid: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process that uses it finds in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "no-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def make_bucket(self) -> str:
        """The URI of a new bucket."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self._ask(name, "PUT")
        return f"s3://{name}"

    def names(self, uri: str) -> list[str]:
        """The names of up to 1000 objects at or below a URI, relative to it, asked of the server
        itself.
        """
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        start = f"{prefix}/" if prefix else ""
        page = self._ask(f"{bucket}?list-type=2&prefix={quote(start)}", "GET")
        keys = [unescape(key) for key in re.findall("<Key>(.*?)</Key>", page)]
        return sorted(key.removeprefix(start) for key in keys)

    def kill(self) -> None:
        """End it at once; nothing answers at its address any more."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _ask(self, path: str, method: str) -> str:
        connection = HTTPConnection(self.address.removeprefix("http://"), timeout=30)
        connection.request(method, f"/{path}")
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path} was answered by {answer.status}: {content}")
        return content


@contextmanager
def serving(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    inside: Sequence[str] = (),
    asks_for_credentials: bool = False,
) -> Iterator[ObjectServer]:
    """A server while the block lasts; `inside` is a command that starts commands elsewhere, such
    as `("ip", "netns", "exec", "ptA1")`. One that asks for credentials knows none that are right.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            command = [*inside, sys.executable, "-u", "-c", _SERVES, host, str(port)]
            environment = {**os.environ, **(_STRICT if asks_for_credentials else {})}
            server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            yield ObjectServer(address=_address(server, log), pid=server.pid)
        finally:
            server.kill()
            server.wait()


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    while server.poll() is None:
        said = log.read_text()
        if _ANNOUNCES in said:
            line, complete, _ = said.partition(_ANNOUNCES)[2].partition("\n")
            if complete:
                return f"http://{line.strip()}"
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.02)
    raise RuntimeError(f"the object server ended: {log.read_text()}")


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """One server for all tests; whoever stops or kills one starts another with `serving`."""
    with serving() as server:
        yield server


@pytest.fixture
def object_environment(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of processes that use the server, for this process and its children."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(object_server: ObjectServer, object_environment: None) -> str:
    """The URI of an empty bucket, such as `s3://bucket-0d3c`."""
    return object_server.make_bucket()
