"""A call into Ray in a thread of its own: no signal interrupts what Ray's core waits for."""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")


def started(call: Callable[[], Result]) -> tuple[Future[Result], threading.Thread]:
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


def bounded(call: Callable[[], Result], *, seconds: float) -> Result:
    """Call something that calls Ray, and wait no longer than this for it.

    Raises:
        TimeoutError: it goes on, for nobody.
    """
    future, thread = started(call)
    if not wait([future], timeout=seconds).done:
        end_thread(thread)
        raise TimeoutError(f"it took longer than {seconds:g} s")
    return future.result()


def end_thread(thread: threading.Thread) -> None:
    """End a thread as soon as it is back from Ray's core; it has nobody left to work for."""
    if thread.ident is not None:
        ended = ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ended)
