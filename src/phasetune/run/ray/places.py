"""Where a run is executed: the node, as Ray and as people know it, and whether that is lost.

When a node goes, Ray tells within a second that a worker on it can't be reached, but that the node
is dead only when it has missed its health checks, up to half a minute later. So a node that Ray
takes for alive is asked itself: where its raylet doesn't take a connection, it is lost.
"""

import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Self

from phasetune.errors import StoreError
from phasetune.run.request import RunRequest

_ANSWER_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """One worker on one node of a cluster; `node` and `actor` are Ray's names for them."""

    node: str
    address: str
    host: str
    actor: str

    @classmethod
    def read(cls, content: Mapping[str, Any] | None) -> Self | None:
        """What was written of a place; None where that is not all there."""
        try:
            known = content or {}
            return cls(
                node=str(known["node"]),
                address=str(known["address"]),
                host=str(known["host"]),
                actor=str(known["actor"]),
            )
        except (KeyError, TypeError):
            return None

    @property
    def shown(self) -> str:
        """The node, for people."""
        return f"{self.host} ({self.address})"

    def content(self) -> dict[str, Any]:
        """As it is written down."""
        return asdict(self)


def this_place() -> Place:
    """Where this worker is."""
    import ray

    context = ray.get_runtime_context()
    return Place(
        node=context.get_node_id(),
        address=ray.util.get_node_ip_address(),
        host=socket.gethostname(),
        actor=context.get_actor_id() or "",
    )


def node_of(actor: str) -> str | None:
    """The node that an actor is or was on, where the cluster knows that."""
    from ray._private import state

    found = state.actors(actor)
    return found["Address"]["NodeID"] if found else None


def request_at(place: Place, planned: RunRequest) -> RunRequest:
    """A request as it is on this node.

    The driver has made the folder of the attempt; who made another one would work for nobody.

    Raises:
        StoreError: the results can't be seen from this node, which the message names.
    """
    try:
        request = planned.here()
    except StoreError as error:
        raise StoreError(f"the node {place.shown}: {error}") from error
    if request.uri is None and not request.attempt.is_dir():
        raise StoreError(
            f"the node {place.shown} does not see {request.attempt}; mount the folder of the "
            "results there, under the same path, and run again"
        )
    return request


def is_lost(node: str, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a node is lost, where `nodes` are what `ray.nodes()` lists."""
    found = next((one for one in nodes if one["NodeID"] == node), None)
    if found is None or not found["Alive"]:
        return True
    return not _answers(str(found["NodeManagerAddress"]), int(found["NodeManagerPort"]))


def _answers(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=_ANSWER_SECONDS)):
            return True
    except OSError:
        return False
