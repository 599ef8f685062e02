"""Several Ray nodes in one: Ray's in-process cluster, where no network namespaces can be made.

All nodes have this machine's name and address, so no link of one can be cut; the rest may happen to
them as in `ray_nodes.py`.
"""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from phasetune.run.ray.session import environment as set_environment
from ray_nodes import END_SECONDS, OBJECT_STORE_BYTES


@dataclass(kw_only=True)
class NodeHere:
    """A node, which Ray alone tells apart from the others."""

    ray_node: Any
    cpus: int

    def hosts(self, place: Mapping[str, object]) -> bool:
        """Whether the place that a try was begun at is on this node."""
        return place.get("node") == str(self.ray_node.node_id)

    def workers(self) -> list[int]:
        """Process ids of the workers that execute runs."""
        raylet = self.process("raylet")
        children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        return [int(pid) for pid in children if _executes(pid)]

    def process(self, name: str) -> int:
        """The id of one of its own processes."""
        pid: int = self.ray_node.all_processes[name][0].process.pid
        return pid

    def kill(self, name: str) -> None:
        """Kill one of its own processes, and wait, since its children see it until then."""
        process = self.ray_node.all_processes[name][0].process
        process.kill()
        process.wait(END_SECONDS)


class NodesHere:
    """A cluster of such nodes, and what may happen to it."""

    can_cut = False
    prefix: tuple[str, ...] = ()

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        token = folder / "token"
        token.write_text(_token())
        token.chmod(0o600)
        self.environment = {
            **environment,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._entered = contextlib.ExitStack()
        self._cluster: Any = None

    @property
    def address(self) -> str:
        """Where the cluster answers."""
        return str(self._cluster.address)

    def __enter__(self) -> Self:
        self._entered.enter_context(set_environment(self.environment))
        self._start_head()
        self._entered.callback(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()

    def add(self, *, cpus: int = 1) -> NodeHere:
        """Start another node and wait until it has joined."""
        return NodeHere(ray_node=self._add(cpus), cpus=cpus)

    def lose(self, node: NodeHere) -> None:
        """Kill the raylet of a node; the rest of Ray on it ends by itself."""
        node.kill("raylet")

    def lose_head(self) -> None:
        """Kill what knows the cluster, and the raylet beside it."""
        head = NodeHere(ray_node=self._cluster.head_node, cpus=0)
        for name in ("gcs_server", "raylet"):
            head.kill(name)

    def restart(self, *nodes: NodeHere) -> None:
        """End every process of the cluster, and start it anew, with these nodes."""
        self._end()
        self._start_head()
        for node in nodes:
            node.ray_node = self._add(node.cpus)

    def _start_head(self) -> None:
        from ray._raylet import Config  # type: ignore[attr-defined]
        from ray.cluster_utils import Cluster

        Config.initialize("")  # what Ray read of the environment when it was imported may be old
        head = {"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)

    def _end(self) -> None:
        for node in (*self._cluster.worker_nodes, self._cluster.head_node):
            self._cluster.remove_node(node, allow_graceful=False)

    def _add(self, cpus: int) -> Any:
        return self._cluster.add_node(num_cpus=cpus, object_store_memory=OBJECT_STORE_BYTES)


@cache
def _token() -> str:
    """Ray reads it once in a process."""
    return secrets.token_hex(32)


def _executes(pid: str) -> bool:
    try:
        return b"ray::Implicit" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
