"""Notices that the head of a joined cluster is gone, wherever the driver is in its work.

Without its head a cluster does nothing more. A head that answers again soon was only hidden, and
runs go on; but one that was started again knows nothing of them, and Ray's core aborts when it
meets it. So a thread greets the head from the moment it was joined until it is left, and asks who
it is where it was silent: nothing of Ray's is asked before a greeting was heard, since its client
takes most of a minute to find out that nobody is there.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from phasetune.errors import StoreError
from phasetune.run.ray.aside import bounded
from phasetune.run.ray.greeting import silence

LOST_SECONDS = 30.0
_LOOK_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.2
_ASK_SECONDS = 5.0
_TRIES = 3


class HeadWatch:
    """Since when the head at an address does not answer; `joined` tells its cluster from others.

    `cluster` asks which cluster it is now, and gives None where that is not told this time.
    """

    def __init__(
        self,
        address: str,
        *,
        joined: str,
        cluster: Callable[[str], str | None],
        silence: Callable[[str], str | None] = silence,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._joined = joined
        self._cluster = cluster
        self._silence = silence
        self._clock = clock
        self._one_look = threading.Lock()
        self._silent_since: float | None = None
        self._since = ""
        self._is_doubted = False
        self._lost: str | None = None

    @property
    def pause_seconds(self) -> float:
        """Until the next look; it is looked at more often while it is silent."""
        return _LOOK_SECONDS if self._silent_since is None else _LOOK_AGAIN_SECONDS

    def look(self) -> None:
        """Greet it; it is lost after half a minute of silence, or where it is another cluster's."""
        with self._one_look:
            self._look()

    def refuse_lost(self) -> None:
        """Asks nobody.

        Raises:
            StoreError: it was found to be lost.
        """
        if self._lost is not None:
            raise self._told(self._lost)

    def refuse_silent(self) -> None:
        """Look now, since a call has failed, or the cluster is to be left.

        Raises:
            StoreError: it does not answer, or answers as another cluster.
        """
        with self._one_look:
            self._is_doubted = True
            for _ in range(_TRIES):
                why = self._look()
                if why is not None:
                    raise self._told(self._lost or why)
                if not self._is_doubted:
                    break
        self.refuse_lost()

    def _look(self) -> str | None:
        began = self._clock()
        why = self._silence(self._address)
        if why is None:
            self._silent_since = None
            self._compare()
        else:
            self._count(why, began)
        return why

    def _compare(self) -> None:
        """Where it was silent meanwhile, or is doubted; what it doesn't tell is asked again."""
        found = self._cluster(self._address) if self._is_doubted else self._joined
        if found is None:
            return
        self._is_doubted = False
        if found != self._joined:
            self._lost = self._lost or "it was started again, as another cluster"

    def _count(self, why: str, began: float) -> None:
        self._is_doubted = True
        if self._silent_since is None:
            self._silent_since = began
            self._since = datetime.now(UTC).astimezone().strftime(" since %H:%M:%S")
        if self._clock() - self._silent_since >= LOST_SECONDS:
            self._lost = self._lost or why

    def _told(self, why: str) -> StoreError:
        return StoreError(
            f"the head of the Ray cluster at {self._address} is lost{self._since}: {why}; nothing "
            "of the study is lost: when the cluster is back, run the same command"
        )


@contextmanager
def looking(watch: HeadWatch) -> Iterator[None]:
    """Within the block a thread looks at the head, whatever this one does meanwhile."""
    ended = threading.Event()

    def go() -> None:
        while not ended.wait(watch.pause_seconds):
            watch.look()

    threading.Thread(target=go, daemon=True, name="head-watch").start()
    try:
        yield
    finally:
        ended.set()


def head_watch() -> HeadWatch | None:
    """For the cluster that this process has joined; None for one of its own, or none."""
    from ray._private import worker

    node = worker._global_node
    if node is None or node.all_processes:
        return None
    return HeadWatch(node.gcs_address, joined=node.cluster_id.hex(), cluster=_cluster_at)


def _cluster_at(address: str) -> str | None:
    """What tells a cluster from another one at the same address; None where it is not told now."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError, RayError

    try:
        return bounded(
            lambda: str(GcsClient(address=address).cluster_id.hex()), seconds=_ASK_SECONDS
        )
    except AuthenticationError:  # the one that was joined has admitted this process
        return "another"
    except (RayError, TimeoutError):
        return None
