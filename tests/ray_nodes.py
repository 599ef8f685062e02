"""Several Ray nodes on this machine, each in a network namespace of its own, as if it were another.

A node has an address, a host name, a link to the others that can be cut, and a token that it was
given in a file. All nodes see the same files. Where namespaces are not permitted
`ray_one_host.py` stands in, whose nodes have no links.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

START_SECONDS = 180.0
END_SECONDS = 20.0
OBJECT_STORE_BYTES = 80_000_000  # Ray takes no less than 75 MB
_PORT = 6379
_STARTED = "Ray runtime started"
_AS_A_MACHINE = (
    'hostname "$0" && mount --bind "$1" /etc/hosts && mount --bind /dev/null /etc/resolv.conf '
    '&& shift && exec "$@"'
)
"""In namespaces of its own: the name, and no server to ask for names, which would take seconds."""


@dataclass(kw_only=True)
class Node:
    """A node: what `socket.gethostname()` says there, its address, and its processes."""

    name: str
    address: str
    namespace: str
    link: str
    hosts_file: Path
    commands: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def processes(self, *names: str) -> list[int]:
        """Process ids on this node whose command lines hold one of the names."""
        pids = map(int, _ip("netns", "pids", self.namespace).split())
        return [pid for pid in pids if any(name in _command(pid) for name in names)]

    def hosts(self, place: Mapping[str, object]) -> bool:
        """Whether the place that a try was begun at is on this node."""
        return place.get("host") == self.name

    def workers(self) -> list[int]:
        """Process ids of the workers that execute runs."""
        return self.processes("ray::Implicit")


class NodesApart:
    """A cluster of nodes in namespaces, and what may happen to it."""

    can_cut = True

    def __init__(self, folder: Path, *, environment: Mapping[str, str], head_cpus: int = 0) -> None:
        self._tag = secrets.token_hex(2)
        self._subnet = f"10.77.{int(self._tag[:2], 16)}"
        self._folder = folder
        self._head_cpus = head_cpus
        self._temporary = Path(tempfile.mkdtemp(prefix="pt"))  # short, for Ray's sockets
        self._entered = contextlib.ExitStack()
        token = folder / "token"
        self.environment = {
            **environment,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": str(int(START_SECONDS)),
        }
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.nodes: list[Node] = []

    @property
    def address(self) -> str:
        """Where the cluster answers."""
        return f"{self.head.address}:{_PORT}"

    @property
    def head(self) -> Node:
        return self.nodes[0]

    @property
    def prefix(self) -> list[str]:
        """What a command begins with that is to run on the head node."""
        return _within(self.head)

    def __enter__(self) -> Self:
        self._entered.callback(shutil.rmtree, self._temporary, ignore_errors=True)
        with self._entered.pop_all() as undo:
            _ip("link", "add", self._bridge, "type", "bridge")
            undo.callback(_ip, "link", "del", self._bridge)
            _ip("link", "set", self._bridge, "up")
            self._new_node(undo)
            self.start(self.head)
            self._entered = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()

    def add(self, *, cpus: int = 1) -> Node:
        """Start another node and wait until it has joined."""
        node = self._new_node(self._entered)
        self.start(node, cpus=cpus)
        return node

    def start(self, node: Node, *, cpus: int = 1) -> None:
        """Start Ray on a node where it does not run, and wait until it has joined."""
        of_head = ["--head", "--port", str(_PORT), "--include-dashboard=false"]
        role = of_head if node is self.head else ["--address", self.address]
        log = self._folder / f"{node.name}.log"
        log.unlink(missing_ok=True)
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *_within(node), sys.executable, "-m", "ray.scripts.scripts", "start", *role,
                    "--block", "--disable-usage-stats",
                    "--node-ip-address", node.address,
                    "--temp-dir", str(self._temporary / node.name),
                    "--num-cpus", str(self._head_cpus if node is self.head else cpus),
                    "--object-store-memory", str(OBJECT_STORE_BYTES),
                ],
                env={**os.environ, **self.environment},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        node.commands.append(process)
        wait_for(lambda: _has_joined(log) or process.poll() is not None, seconds=START_SECONDS)
        assert _has_joined(log), log.read_text()

    def lose(self, node: Node) -> None:
        """Kill the raylet of a node; the rest of Ray on it ends by itself."""
        for pid in node.processes("raylet/raylet"):
            os.kill(pid, signal.SIGKILL)

    def lose_head(self) -> None:
        """Kill what knows the cluster, and the raylet beside it."""
        for pid in self.head.processes("gcs_server", "raylet/raylet"):
            os.kill(pid, signal.SIGKILL)

    def end(self, node: Node) -> None:
        """End every process on a node."""
        deadline = time.monotonic() + END_SECONDS
        while (pids := node.processes("")) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for command in node.commands:
            command.wait(END_SECONDS)

    def restart(self, *nodes: Node) -> None:
        """End every process on every node, and start Ray anew on the head and on these nodes."""
        for node in self.nodes:
            self.end(node)
        for node in (self.head, *nodes):
            self.start(node)

    def cut(self, node: Node) -> None:
        """Cut the link of a node: what is sent from and to it is lost without an answer."""
        _ip("link", "set", node.link, "down")

    def mend(self, node: Node) -> None:
        """Give a node its link back."""
        _ip("link", "set", node.link, "up")

    @property
    def _bridge(self) -> str:
        return f"brF{self._tag}"

    def _new_node(self, undo: contextlib.ExitStack) -> Node:
        number = len(self.nodes) + 1
        node = Node(
            name=f"node{number}",
            address=f"{self._subnet}.{number}",
            namespace=f"ptF{self._tag}-{number}",
            link=f"vF{self._tag}-{number}",
            hosts_file=self._temporary / "hosts",
        )
        _ip("netns", "add", node.namespace)
        undo.callback(_ip, "netns", "del", node.namespace)
        undo.callback(self.end, node)
        pair = ["type", "veth", "peer", "name", "eth0", "netns", node.namespace]
        _ip("link", "add", node.link, *pair)
        _ip("link", "set", node.link, "master", self._bridge, "up")
        _ip("-n", node.namespace, "address", "add", f"{node.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", node.namespace, "link", "set", device, "up")
        self.nodes.append(node)
        lines = ["127.0.0.1 localhost", *(f"{one.address} {one.name}" for one in self.nodes)]
        node.hosts_file.write_text("\n".join(lines) + "\n")
        return node


@cache
def why_not_apart() -> str | None:
    """Why no network namespaces can be made here; None where they can."""
    name = f"ptF{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces can't be made here: {getattr(error, 'stderr', '') or error}"
    _ip("netns", "del", name)
    return None


def wait_for(happened: Callable[[], object], *, seconds: float) -> None:
    """Wait for something that processes do."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.02)


def _within(node: Node) -> list[str]:
    apart = ["ip", "netns", "exec", node.namespace, "unshare", "--uts", "--mount"]
    return [*apart, "sh", "-c", _AS_A_MACHINE, node.name, str(node.hosts_file)]


def _has_joined(log: Path) -> bool:
    return _STARTED in log.read_text()


def _ip(*arguments: str) -> str:
    command: Sequence[str] = ["ip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
