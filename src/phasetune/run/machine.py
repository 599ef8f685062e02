"""What this machine offers a run: devices, precision, threads. Asked without importing torch."""

import gc
import importlib
import os
import random
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from phasetune.run.devices import AMPERE, are_gpus_hidden, gpus
from phasetune.study.resources import AUTO, Resources

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@cache
def compute_capabilities() -> tuple[float, ...]:
    """CUDA compute capability of each GPU that the installed torch can use; empty without one."""
    return () if are_gpus_hidden() else capabilities_of_machine()


def capabilities_of_machine() -> tuple[float, ...]:
    """As `compute_capabilities`, also where the environment hides the GPUs from this process."""
    if not _torch_has_cuda():
        return ()
    try:
        found = tuple(gpu.compute_capability for gpu in gpus())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
    return tuple(capability for capability in found if capability is not None)


def _torch_has_cuda() -> bool:
    try:
        return "+cpu" not in version("torch")
    except PackageNotFoundError:
        return False


def device_for(granted_gpus: float) -> str:
    """`cuda` where GPUs were granted and exist, else `cpu`."""
    return "cuda" if granted_gpus > 0 and compute_capabilities() else "cpu"


def device_of_this_process(asked: Resources, *, uses_gpu: bool = True) -> str:
    """The device of runs in this process: `cuda` where there is one, and study and stage use it."""
    if not uses_gpu:
        return "cpu"
    is_open = asked.gpu is None or asked.gpu == AUTO
    return device_for(len(compute_capabilities()) if is_open else float(asked.gpu or 0))


def device_asked_for(asked: Resources) -> str:
    """The device that a study is told of before its machines are known: what it says itself, or
    else that of this process.
    """
    names_gpus = asked.accelerator is not None or (asked.gpu != AUTO and bool(asked.gpu))
    return "cuda" if names_gpus else device_of_this_process(asked)


def resolved_precision(asked: str, device: str) -> str:
    """What `numerics.precision` means on a device of this machine; `auto` is fp32 on a CPU."""
    return precision_on(compute_capabilities() if device == "cuda" else (), asked)


def precision_on(capabilities: Sequence[float], asked: str) -> str:
    """What `numerics.precision` means on GPUs of these compute capabilities, or on a CPU."""
    if asked != "auto":
        return asked
    if not capabilities:
        return "fp32"
    return "bf16" if min(capabilities) >= AMPERE else "fp16"


@contextmanager
def hidden_gpus() -> Iterator[None]:
    """Within the block the environment hides all GPUs, as from a worker that was granted none.

    What torch asks the driver first holds for the whole process, so it asks before: else what runs
    after the block had no GPU either.
    """
    if compute_capabilities():
        importlib.import_module("torch").cuda.is_available()
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        yield
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        os.environ.update({} if before is None else {"CUDA_VISIBLE_DEVICES": before})


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Within the block numeric libraries, loaded before or in it, use this many threads."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        with threadpool_limits(threads):
            _limit_torch(threads)
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _limit_torch(threads: int) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def load_libraries(imported: Collection[str]) -> None:
    """Load the libraries with global generators that a workload imports anywhere, once a process.

    One that a stage loads only after it was started would keep the seed of its own first import
    in a fresh process, and another one in a process that is used again. What torch's optimizers
    load at their first use is loaded here too, before the clock of a run starts.
    """
    importlib.import_module("numpy")
    if "torch" in imported:
        with suppress(ImportError):
            importlib.import_module("torch")
            importlib.import_module("torch._dynamo")


def seed_everything(seed: int) -> None:
    """Seed the global generators of all loaded libraries, so that a run inherits nothing."""
    random.seed(seed)
    sys.modules["numpy"].random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def clean_up(device: str) -> None:
    """Give back what a run leaves behind: garbage, and memory that torch keeps on a GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and device == "cuda":
        torch.cuda.empty_cache()
