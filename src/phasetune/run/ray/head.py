"""Notices that the head of a joined cluster is gone, before Ray's core ends this process for it.

Without its head a cluster does nothing more; Ray's core tries for a minute to reach it and then
ends the driver without a word. A head that answers again sooner was only hidden, and runs go on;
but one that was started again knows nothing of them, and Ray's core aborts when it meets it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from phasetune.errors import StoreError
from phasetune.run.ray.greeting import silence

LOST_SECONDS = 30.0
_LOOK_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.2


class HeadWatch:
    """Since when the head at an address does not answer."""

    def __init__(
        self,
        address: str,
        *,
        cluster: Callable[[str], str],
        silence: Callable[[str], str | None] = silence,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._cluster = cluster
        self._joined = cluster(address)
        self._silence = silence
        self._clock = clock
        self._next_look = clock()
        self._silent_since: float | None = None
        self._since = ""

    def refuse_lost(self) -> None:
        """Look every two seconds, and more often while it is silent.

        Raises:
            StoreError: it does not answer since half a minute, or answers as another cluster.
        """
        if self._clock() < self._next_look:
            return
        why = self._look()
        if self._silent_since is None:
            return
        if why is None:
            self._refuse_another()
            self._silent_since = None
        elif self._clock() - self._silent_since >= LOST_SECONDS:
            raise self._lost(why)

    def refuse_silent(self) -> None:
        """Look now, since a call has failed.

        Raises:
            StoreError: it does not answer, or answers as another cluster.
        """
        why = self._look()
        if why is not None:
            raise self._lost(why)
        self._refuse_another()

    def _look(self) -> str | None:
        began = self._clock()
        why = self._silence(self._address)
        self._next_look = self._clock() + (_LOOK_SECONDS if why is None else _LOOK_AGAIN_SECONDS)
        if why is not None and self._silent_since is None:
            self._silent_since = began
            self._since = datetime.now(UTC).astimezone().strftime(" since %H:%M:%S")
        return why

    def _refuse_another(self) -> None:
        if self._cluster(self._address) != self._joined:
            raise self._lost("it was started again, as another cluster")

    def _lost(self, why: str) -> StoreError:
        return StoreError(
            f"the head of the Ray cluster at {self._address} is lost{self._since}: {why}; nothing "
            "of the study is lost: when the cluster is back, run the same command"
        )


def head_watch() -> HeadWatch | None:
    """For the cluster that this process has joined; None for one of its own, or none."""
    from ray._private import worker

    node = worker._global_node
    return (
        None
        if node is None or node.all_processes
        else HeadWatch(node.gcs_address, cluster=_cluster_at)
    )


def _cluster_at(address: str) -> str:
    """What tells a cluster from another one at the same address; nothing where it is not told."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import RayError

    try:
        return str(GcsClient(address=address).cluster_id.hex())
    except RayError:
        return ""
