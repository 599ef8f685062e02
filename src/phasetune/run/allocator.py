"""Keep the heap of a worker: what a training step gives back is used by the next one.

glibc gives large blocks back to the system as soon as they are free, and the system hands each
page out anew, filled with zeros. A step of an LSTM on a CPU frees and takes the same tens of MiB
again and again, and spends a third of its time on that. With these settings all blocks come from
the heap, and the heap never shrinks; the numbers computed are the same. It stays as large as its
peak was, so this is for workers, which end with their study. mallopt(3) describes each parameter.
"""

import ctypes
import os
from functools import cache

# By the name that malloc.h, the environment variable and the tunable share: its number, our value.
_PARAMETERS = {
    "mmap_max": (-4, 0),
    "trim_threshold": (-1, -1),  # never
    "top_pad": (-2, 256 << 20),
}


@cache
def keep_heap() -> bool:
    """Set glibc's allocator so that this process keeps what it frees; once, later calls do nothing.

    What the user has set by `MALLOC_..._` or `GLIBC_TUNABLES` is left alone.

    Returns:
        Whether anything was set: False without glibc, and where the user has set it all.
    """
    if not _has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    ours = [entry for name, entry in _PARAMETERS.items() if not _is_set_by_user(name)]
    taken = [mallopt(parameter, value) == 1 for parameter, value in ours]
    return any(taken)


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):
        return False


def _is_set_by_user(name: str) -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "").split(":")
    return f"MALLOC_{name.upper()}_" in os.environ or any(
        entry.startswith(f"glibc.malloc.{name}=") for entry in tunables
    )
