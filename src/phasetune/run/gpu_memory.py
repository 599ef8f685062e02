"""The part of a GPU's memory that a run may take, so that its neighbours have theirs.

A process takes more of a GPU than torch's tensors: the CUDA context and the libraries' own
workspace. torch limits its tensors alone (`set_per_process_memory_fraction`), so of the part that
was granted the rest is left for these.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phasetune.errors import StageError
from phasetune.store.space import GIB

CONTEXT_BYTES = 640 << 20


def torch_part(part: float, *, total_bytes: int) -> float:
    """What torch may take of a GPU of which a process may take a part; nothing of too small a part,
    since that would be its neighbours'.
    """
    return max(0.0, part - CONTEXT_BYTES / total_bytes)


@contextmanager
def limited_gpu_memory(part: float, *, device: str) -> Iterator[None]:
    """Within the block torch takes at most its share of a part of the first GPU.

    A process that is used again is not limited after the block. Where no part but all was granted,
    or torch is not loaded, nothing is limited.

    Raises:
        StageError: what was executed in the block wanted more.
    """
    torch = sys.modules.get("torch")
    if torch is None or device != "cuda" or not 0 < part < 1:
        yield
        return
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(torch_part(part, total_bytes=total_bytes))
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise StageError(
            _told(part, torch_part(part, total_bytes=total_bytes) * total_bytes)
        ) from error
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _told(part: float, most_bytes: float) -> str:
    return (
        f"out of GPU memory: it was granted {part:g} of a GPU, {most_bytes / GIB:.1f} GiB for its "
        "tensors; raise resources_per_trial.gpu, or let it take less, as by smaller batches"
    )


def taken_of_gpu() -> tuple[int, int]:
    """The most bytes that torch reserved on the first GPU, and how many that has in all.

    Both are 0 where torch is not loaded or can't use a GPU.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0, 0
    total = torch.cuda.get_device_properties(0).total_memory
    return int(torch.cuda.max_memory_reserved()), int(total)
