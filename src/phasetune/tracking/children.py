"""Processes that a tracker's thread starts, gone when that thread is.

They are in sessions of their own, since Ctrl-C in a terminal is for the study.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """This process ends when the thread does that started it, in the process `parent`.

    Where the system has no such thing (it is Linux's) it ends when its work is done.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
