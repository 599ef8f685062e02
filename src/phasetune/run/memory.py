"""The most memory that one run took, of its process and of its GPU."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

GIB = 1 << 30
_RESET_PEAK = "5"  # proc(5), clear_refs
_OWN = Path("/proc/self")


class PeakMemory:
    """Measures from its making on.

    Where the system can't forget the peak of earlier runs of this process (anything but Linux),
    the process's own peak is an upper bound, and is what is told.
    """

    def __init__(self, device: str) -> None:
        self._has_gpu = device == "cuda"
        if self._has_gpu and "torch" in sys.modules:
            with suppress(RuntimeError):  # a broken GPU is told by the run itself
                sys.modules["torch"].cuda.reset_peak_memory_stats()
        try:
            (_OWN / "clear_refs").write_text(_RESET_PEAK)
        except OSError:
            return

    def gib(self) -> dict[str, float]:
        """`peak_memory_gib` of the process, and of its GPU `peak_gpu_memory_gib` where it has one.

        The GPU's is what torch's allocator reserved on the first device.
        """
        found = {"peak_memory_gib": round(_peak_bytes() / GIB, 4)}
        if self._has_gpu and "torch" in sys.modules:
            with suppress(RuntimeError):
                reserved = sys.modules["torch"].cuda.max_memory_reserved()
                found["peak_gpu_memory_gib"] = round(reserved / GIB, 4)
        return found


def _peak_bytes() -> int:
    try:
        lines = (_OWN / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
