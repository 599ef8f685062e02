"""Notices that a private cluster is gone, while a call into Ray can't.

When the server that knows a cluster (GCS) dies, Ray's core blocks for a minute in calls that no
signal interrupts, and ends the process then; without its raylet it waits for ever. So such a call
is made in a thread of its own, and the main thread looks after Ray's processes meanwhile.
"""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from phasetune.errors import StoreError

SHUTDOWN_SECONDS = 20.0
_POLL_SECONDS = 0.2
_NEEDED = ("gcs_server", "raylet")

Result = TypeVar("Result")


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


def watched(call: Callable[[], Result]) -> Result:
    """Call something that calls Ray.

    Raises:
        StoreError: the cluster that this process started is gone.
    """
    future, thread = _started(call)
    try:
        while not wait([future], timeout=_POLL_SECONDS).done:
            _raise_if_lost()
    except BaseException:
        _end_thread(thread)
        raise
    if future.exception() is not None:
        _raise_if_lost()
    return future.result()


def shut_down() -> None:
    """Leave Ray, and end the cluster that this process started; not waited for much longer than it
    takes, since what does not end is ended by the guardian.
    """
    import ray
    from ray._private import worker

    if lost_process() is not None and worker._global_node is not None:
        worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
    future, _ = _started(ray.shutdown)
    if wait([future], timeout=SHUTDOWN_SECONDS).done:
        future.result()


def _raise_if_lost() -> None:
    lost = lost_process()
    if lost is not None:
        raise StoreError(
            f"Ray's {lost}, and with it the cluster that runs were executed in; nothing is lost, "
            "run again"
        )


def _started(call: Callable[[], Result]) -> tuple[Future[Result], threading.Thread]:
    """A thread that the end of the program does not wait for."""
    future: Future[Result] = Future()

    def go() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # it is raised where it is waited for
            future.set_exception(error)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return future, thread


def _end_thread(thread: threading.Thread) -> None:
    """End a thread as soon as it is back from Ray's core; it has nobody left to work for."""
    if thread.ident is not None:
        ended = ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ended)
