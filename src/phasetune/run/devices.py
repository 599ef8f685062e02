"""What this machine is made of: processor, memory, GPUs. Asked without importing torch."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from phasetune.run.cgroups import CgroupLimits

AMPERE = 8.0  # the first compute capability with bf16 and TF32
_PROCESSOR = Path("/proc/cpuinfo")
_MEMORY = Path("/proc/meminfo")
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Processor:
    """The machine's CPUs, and how many of its cores this process may use (a share can be part)."""

    model: str
    cores: int
    usable_cores: float
    has_bf16: bool  # in matrix units (AMX); without them bf16 is slower than fp32


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Main memory that this process may use; None where the system does not tell."""

    total_bytes: int
    free_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU as its driver describes it; None for what the driver does not tell."""

    name: str
    total_bytes: int | None
    free_bytes: int | None
    compute_capability: float | None

    @property
    def is_ampere_or_later(self) -> bool:
        """Whether it computes in bf16 and TF32."""
        return self.compute_capability is not None and self.compute_capability >= AMPERE


def processor(limits: CgroupLimits, *, described: Path = _PROCESSOR) -> Processor:
    """The processor, with the limits of this process."""
    fields = _fields(described)
    cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return Processor(
        model=fields.get("model name") or platform.processor() or platform.machine(),
        cores=cores,
        usable_cores=allowed if limits.cpus is None else min(allowed, limits.cpus),
        has_bf16="amx_bf16" in fields.get("flags", "").split(),
    )


def memory(limits: CgroupLimits, *, described: Path = _MEMORY) -> Memory:
    """Main memory, with the limits of this process."""
    fields = _fields(described)
    total = _kib(fields.get("MemTotal")) or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = (_kib(fields.get("MemAvailable")), limits.free_memory_bytes)
    return Memory(
        total_bytes=total if limits.memory_bytes is None else min(total, limits.memory_bytes),
        free_bytes=min((size for size in free if size is not None), default=None),
    )


def _fields(path: Path) -> dict[str, str]:
    """The lines `name: value` of a file in /proc, the first of each name; none elsewhere."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.split(":", 1) for line in reversed(lines) if ":" in line]
    return {name.strip(): value.strip() for name, value in pairs}


def _kib(text: str | None) -> int | None:
    return None if text is None else int(text.split()[0]) * 1024


def gpus() -> tuple[Gpu, ...]:
    """Every GPU of the machine, in the driver's order; none where there is no driver.

    Raises:
        OSError, subprocess.SubprocessError, ValueError: there is a driver, but it does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    listed = subprocess.run(  # noqa: S603 - fixed arguments
        [
            program,
            "--query-gpu=name,memory.total,memory.free,compute_cap",
            "--format=csv,noheader,nounits",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return tuple(_gpu(line) for line in listed.stdout.splitlines() if line.strip())


def are_gpus_hidden() -> bool:
    """Whether the environment hides all GPUs from this process."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")


def _gpu(line: str) -> Gpu:
    name, total, free, capability = (field.strip() for field in line.rsplit(",", 3))
    return Gpu(
        name=name,
        total_bytes=_mib(total),
        free_bytes=_mib(free),
        compute_capability=None if _is_untold(capability) else float(capability),
    )


def _mib(field: str) -> int | None:
    return None if _is_untold(field) else int(field) * _MIB


def _is_untold(field: str) -> bool:
    return field.startswith("[")  # such as [N/A]
