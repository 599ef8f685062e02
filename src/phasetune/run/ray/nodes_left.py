"""Tells that no machine is left that a run could go to, while Tune waits for one in silence."""

import math
import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback

from phasetune.run.events import Listener, Noticed
from phasetune.run.ray.nodes import Fits, LivingNode, living_nodes

TOLD_SECONDS = 30.0
_LOOK_SECONDS = 5.0


class NodesLeft(Callback):  # type: ignore[misc] # Ray ships no types
    """Looks at the nodes of a joined cluster between Tune's steps; tells once per loss."""

    def __init__(
        self,
        fits: Fits,
        listener: Listener,
        *,
        nodes: Callable[[], list[LivingNode]] = living_nodes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fits = fits
        self._listener = listener
        self._nodes = nodes
        self._clock = clock
        self._next_look = 0.0
        self._none_since: float | None = None
        self._is_told = False

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks beside the experiment; nothing of ours belongs there. A
        restored Tuner has nobody to tell, so there it never looks.
        """
        never = {"_clock": time.monotonic, "_next_look": math.inf}
        return {**dict.fromkeys(self.__dict__), **never}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look, as often as Tune has time for it."""
        del iteration, trials, info
        self.look()

    def look(self) -> None:
        """Look every five seconds."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        if any(self._fits(node.has) for node in self._nodes()):
            self._found()
        else:
            self._missed(now)

    def _found(self) -> None:
        if self._is_told:
            self._listener.notify(Noticed(message="a machine for the runs is there again"))
        self._none_since, self._is_told = None, False

    def _missed(self, now: float) -> None:
        if self._none_since is None:
            self._none_since = now
        if now - self._none_since >= TOLD_SECONDS and not self._is_told:
            self._is_told = True
            message = (
                "warning: no machine of the cluster has what a run asks for any more; waiting for "
                "one to join (`ray start --address ...` on it); Ctrl-C ends the study, and the "
                "same command goes on later"
            )
            self._listener.notify(Noticed(message=message))
