"""What the control groups of this process allow it: CPUs and memory, of both versions of cgroups.

A container or a job of a scheduler sees all of its machine in `/proc`; what it may use is told
here, by its own group or by any group above it. Kernel documentation: admin-guide/cgroup-v2.rst,
and cgroup-v1/memory.rst.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, kw_only=True)
class CgroupLimits:
    """The tightest limit of each kind; None where no group sets one."""

    cpus: float | None
    memory_bytes: int | None
    free_memory_bytes: int | None


def cgroup_limits(*, root: Path = ROOT, own: Path = OWN) -> CgroupLimits:
    """The limits of the groups that the file `own` names, whose folders lie below `root`."""
    folders = list(_folders(root, own))
    return CgroupLimits(
        cpus=_least(folders, _cpus),
        memory_bytes=_least(folders, _memory_bytes),
        free_memory_bytes=_least(folders, _free_memory_bytes),
    )


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """Every folder that may say something: of the group itself, and of each group above it.

    In a container a group's path may be that on the host, of which only the root is mounted.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        base = root / controllers if controllers else root
        inner = base / path.strip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(base))


def _least(folders: list[Path], limit: Callable[[Path], _Number | None]) -> _Number | None:
    found = [value for folder in folders if (value := limit(folder)) is not None]
    return min(found, default=None)


def _cpus(folder: Path) -> float | None:
    quota, period = [*_words(folder / "cpu.max"), None, None][:2]
    if quota is None:
        quota, period = (_first(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    limit, length = _number(quota), _number(period)
    return limit / length if limit and length and limit > 0 else None


def _memory_bytes(folder: Path) -> int | None:
    limit = _number(_first(folder / "memory.max"))
    return limit if limit is not None else _number(_first(folder / "memory.limit_in_bytes"))


def _free_memory_bytes(folder: Path) -> int | None:
    """What is left below the limit, counting file caches that can be dropped as free."""
    limit = _memory_bytes(folder)
    used = _number(_first(folder / "memory.current"))
    used = used if used is not None else _number(_first(folder / "memory.usage_in_bytes"))
    if limit is None or used is None:
        return None
    words = _words(folder / "memory.stat")
    stat = dict(zip(words[::2], words[1::2], strict=False))
    cached = _number(stat.get("total_inactive_file", stat.get("inactive_file"))) or 0
    return max(0, limit - max(0, used - cached))


def _first(path: Path) -> str | None:
    return next(iter(_words(path)), None)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(word: str | None) -> int | None:
    """None for what is not set, or set to `max`."""
    try:
        return None if word is None else int(word)
    except ValueError:
        return None
