"""What no signal may end in the middle: done by a thread, since the main one hears the signals."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


def undisturbed(do: Callable[[], T]) -> T:
    """Do it to its end, also where a signal's handler raises meanwhile: that is raised after it.
    Where it comes so early that nothing was begun, nothing is.
    """
    if threading.current_thread() is not threading.main_thread():
        return do()
    outcome: Future[T] = Future()
    try:
        threading.Thread(target=_complete, args=(outcome, do)).start()
        return outcome.result()
    finally:
        if not outcome.cancel():
            wait([outcome])


def _complete(outcome: Future[T], do: Callable[[], T]) -> None:
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        outcome.set_result(do())
    except BaseException as error:
        outcome.set_exception(error)
