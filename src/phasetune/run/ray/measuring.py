"""Measures a step on a GPU of the cluster, in a task whose process ends with it."""

import time
from collections.abc import Callable
from typing import Any

from phasetune.errors import PhasetuneError
from phasetune.run.events import Listener
from phasetune.run.interrupt import StopSwitch
from phasetune.run.machine import device_for
from phasetune.run.measure import measured_step
from phasetune.run.packing import NotMeasured, StepMemory
from phasetune.run.ray.nodes import fits_any
from phasetune.run.ray.placement import Ask
from phasetune.run.ray.trainable import enter
from phasetune.run.request import RunRequest

_POLL_SECONDS = 0.2


def measured_on_cluster(
    request: RunRequest, *, ask: Ask, listener: Listener, stop: StopSwitch
) -> StepMemory | NotMeasured:
    """What the first step of a run takes of a whole GPU, on a node that has what is asked for.

    While there is none the listener is told of it, as in a wave.

    Raises:
        Interrupted: somebody asked for an end.
    """
    import ray
    from ray.exceptions import RayError

    from phasetune.run.ray.nodes_left import NodesLeft

    left = NodesLeft(fits_any([ask]), listener)
    remote = ray.remote(
        num_cpus=ask.cpu,
        num_gpus=1,
        max_calls=1,
        max_retries=0,
        label_selector=dict(ask.labels),
    )
    pending, has_ended = remote(_measured).remote(request), False
    try:
        has_ended = _waited_for(pending, request.stall_timeout_seconds, left.look, stop)
        if not has_ended:
            return NotMeasured(why=f"nothing came within {request.stall_timeout_seconds:g} s")
        found: StepMemory | NotMeasured = ray.get(pending)
    except RayError as error:
        return NotMeasured(why=f"its process ended ({type(error).__name__})")
    finally:
        if not has_ended:  # to cancel what has just ended can abort this process: Ray checks itself
            ray.cancel(pending, force=True)
    return found


def _waited_for(
    pending: Any, seconds: float | None, look: Callable[[], None], stop: StopSwitch
) -> bool:
    import ray

    began = time.monotonic()
    while not ray.wait([pending], timeout=_POLL_SECONDS)[0]:
        stop.raise_if_asked()
        look()
        if seconds is not None and time.monotonic() - began > seconds:
            return False
    return True


def _measured(planned: RunRequest) -> StepMemory | NotMeasured:
    device = device_for(1)
    if device != "cuda":
        return NotMeasured(why="torch can use no GPU there")
    try:
        request = planned.here()
        enter(request)
    except PhasetuneError as error:
        return NotMeasured(why=str(error))
    return measured_step(request, device=device)
