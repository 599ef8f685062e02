"""Measure what one step of a run takes, in a process of its own, and keep nothing of the run."""

from collections.abc import Callable, Mapping
from pathlib import Path

from phasetune.run.context import RunStopped
from phasetune.run.execute import rehearse
from phasetune.run.gpu_memory import taken_of_gpu
from phasetune.run.packing import NotMeasured, StepMemory
from phasetune.run.request import RunRequest

Meter = Callable[[], tuple[int, int]]
"""Tells the most bytes that this process took until now, and how many there are in all."""


def measured_step(
    request: RunRequest, *, device: str, meter: Meter = taken_of_gpu
) -> StepMemory | NotMeasured:
    """Execute a run until it reports for the first time, and tell what it took.

    It leaves no artifact, no failure and no checkpoint. The process is of no use for another
    measurement: what it took is known by its peak.
    """
    try:
        rehearse(request, _UntilFirstReport(), device=device)
    except (Exception, SystemExit) as error:
        return NotMeasured(why=f"its first step failed ({type(error).__name__}: {error})")
    taken, total = meter()
    if not taken:
        return NotMeasured(why="it took no memory of a GPU by torch")
    return StepMemory(taken_bytes=taken, total_bytes=total)


class _UntilFirstReport:
    """The channel of a run that ends as soon as it tells of a step."""

    def stop_asked(self) -> bool:
        return False

    def is_superseded(self) -> bool:
        return False

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:  # noqa: ARG002
        raise RunStopped
