"""Notices that the cluster is gone, while a call into Ray can't.

When the server that knows a cluster (GCS) dies, Ray's core blocks for a minute in calls that no
signal interrupts, and ends the process then; without its raylet it waits for ever. So such a call
is made in a thread of its own, and the main thread looks after Ray's processes meanwhile, or hears
of the head of a cluster that was joined, which is watched all the time (`head`).
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from typing import TypeVar

from phasetune.errors import PhasetuneError, StoreError
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.aside import end_thread, started
from phasetune.run.ray.head import HeadWatch, head_watch, looking

SHUTDOWN_SECONDS = 20.0
_POLL_SECONDS = 0.2
_NEEDED = ("gcs_server", "raylet")

Result = TypeVar("Result")

_heads: list[HeadWatch] = []
"""Of the cluster that this process has joined; none without one."""
_lost_head = threading.Event()


def lost_process() -> str | None:
    """Which process of the cluster that this one started is gone, and how; None while all live."""
    from ray._private import worker

    node = worker._global_node
    processes = {} if node is None else node.all_processes
    for name in _NEEDED:
        for info in processes.get(name, ()):
            code = info.process.poll()
            if code is not None:
                return f"{name} ended (exit code {code})"
    return None


def watched(call: Callable[[], Result], *, stop: StopSwitch) -> Result:
    """Call something that calls Ray.

    Raises:
        Interrupted: the cluster that this process started is gone, and an end was asked for.
        StoreError: it is gone by itself, or the head of the one that it joined.
    """
    _refuse_lost_head()
    future, thread = started(call)
    try:
        while not wait([future], timeout=_POLL_SECONDS).done:
            _raise_if_lost(stop)
            _refuse_lost_head()
    except BaseException:
        end_thread(thread)
        raise
    if future.exception() is not None:
        _raise_if_lost(stop)
        if not isinstance(future.exception(), PhasetuneError):
            _refuse_silent_head()
    return future.result()


@contextmanager
def head_watched() -> Iterator[None]:
    """Within the block the head of the cluster that this process has joined is looked after, if it
    has joined one; at its end it is found out whether that can be left as usual.
    """
    head = head_watch()
    if head is None:
        yield
        return
    _heads.append(head)
    try:
        with looking(head):
            yield
    finally:
        with suppress(StoreError):
            _refuse_silent_head()
        _heads.remove(head)


def shut_down() -> None:
    """Leave Ray, and end the cluster that this process started; not waited for much longer than it
    takes, since what does not end is ended by the guardian.

    Ray is not told to leave a cluster whose head is lost: its core would abort this process when it
    meets another one there. So this process can join no other cluster.
    """
    import ray
    from ray._private import worker

    if _lost_head.is_set():
        atexit.unregister(worker.shutdown)
        return
    if lost_process() is not None and worker._global_node is not None:
        worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
    future, _ = started(ray.shutdown)
    if wait([future], timeout=SHUTDOWN_SECONDS).done:
        future.result()


def end_without_ray(code: str | int | None) -> None:
    """End this process at once where the head of its cluster is lost: all is told and written, and
    what Ray has left in it would hold up a regular end for a minute, or abort it.
    """
    if _lost_head.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _refuse_lost_head() -> None:
    with _noting_loss():
        for head in _heads:
            head.refuse_lost()


def _refuse_silent_head() -> None:
    with _noting_loss():
        for head in _heads:
            head.refuse_silent()


@contextmanager
def _noting_loss() -> Iterator[None]:
    try:
        yield
    except StoreError:
        _lost_head.set()
        raise


def _raise_if_lost(stop: StopSwitch) -> None:
    """Job managers signal every process of a study, and the cluster may be the first to hear."""
    lost = lost_process()
    if lost is None:
        return
    time.sleep(_POLL_SECONDS)
    stop.raise_if_asked()
    raise StoreError(
        f"Ray's {lost}, and with it the cluster that runs were executed in; nothing is lost, run "
        "again"
    )
