"""What benchmarks have in common: two sides measured in turn, and a ratio with its range.

Sides go A B B A, so that what else the machine does meets both. A ratio is the median over pairs,
with the least and the greatest of them; a goal is held against the median.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Side = Callable[[], float]
"""Does its work once; returns the seconds that count."""


def timed(work: Callable[[], object]) -> float:
    """The seconds that some work takes; a GPU's too, which the clock would else not wait for."""
    _wait_for_gpu()
    began = time.perf_counter()
    work()
    _wait_for_gpu()
    return time.perf_counter() - began


def computed(work: Callable[[], object]) -> float:
    """The seconds that this process computes for some work, whatever else the machine does.

    For work of one thread on a CPU; waiting, as for a disk, is not in it.
    """
    began = time.process_time()
    work()
    return time.process_time() - began


def _wait_for_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(sides: Mapping[str, Side], *, pairs: int) -> dict[str, list[float]]:
    """The seconds of each side by its name, one per pair, in the order A B B A."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for pair in range(pairs):
        for name in list(sides) if pair % 2 == 0 else reversed(list(sides)):
            found[name].append(sides[name]())
    return found


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """Median, and in brackets the least and the greatest."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def milliseconds(values: Sequence[float], *, of: int = 1, digits: int = 1) -> str:
    """The spread of seconds, each divided by what they are the seconds of."""
    return f"{spread([1000 * value / of for value in values], digits=digits)} ms"


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """The ratio of each pair."""
    return [a / b for a, b in zip(over, under, strict=True)]


def ratio_text(values: Sequence[float]) -> str:
    """A ratio with its range, and of how many pairs it is."""
    pairs = "1 pair" if len(values) == 1 else f"{len(values)} pairs"
    return f"ratio {spread(values)}, {pairs}"


def verdict(values: Sequence[float], *, goal: float) -> str:
    """A ratio with its range, and whether its median reaches a goal that it must not fall below."""
    reached = "reached" if statistics.median(values) >= goal else "MISSED"
    return f"{ratio_text(values)}; goal {goal:g} or more: {reached}"


def memory_mib() -> float:
    """The most memory that this process has had since its peak was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
