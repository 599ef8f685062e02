"""What is known of runs that have no artifact yet: the rows that they reported so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from phasetune.tracking.contract import Series


@dataclass(kw_only=True)
class LiveRows:
    """Rows of a run as they come; a step that comes again, after an interruption, is the same.

    `last` is the step and `last_at` the time of the last one.
    """

    steps: list[int] = field(default_factory=list)
    metrics: list[Mapping[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    last: int | None = None
    last_at: float | None = None

    def add(self, step: int, metrics: Mapping[str, float], *, at: float) -> None:
        """Add a row, where it is a new step."""
        if self.last is None or step > self.last:
            self.steps.append(step)
            self.metrics.append(metrics)
            self.times.append(at)
            self.last, self.last_at = step, at

    def clear(self) -> None:
        """Let go of the rows, but not of how far they went."""
        self.steps, self.metrics, self.times = [], [], []


@dataclass(kw_only=True)
class Live:
    """Runs by their keys: when they `started` first, which of them are `active`, since the driver
    that works now began, and their `rows`. Times are seconds since 1970.
    """

    started: dict[str, float] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    rows: dict[str, LiveRows] = field(default_factory=dict)

    def start(self, key: str, *, at: float) -> None:
        """A process works on a run."""
        self.started.setdefault(key, at)
        self.active.add(key)

    def report(self, key: str, step: int, metrics: Mapping[str, float], *, at: float) -> None:
        """A run reported a step."""
        self.rows.setdefault(key, LiveRows()).add(step, metrics, at=at)

    def span(self, key: str) -> tuple[float | None, float | None]:
        """When a run started, and when it was heard of last."""
        rows = self.rows.get(key)
        return self.started.get(key), None if rows is None else rows.last_at

    def series(self, stage: str, key: str) -> Series | None:
        """The rows of a run that were not let go, or None."""
        rows = self.rows.get(key)
        if rows is None or not rows.steps:
            return None
        return Series(
            stage=stage,
            steps=tuple(rows.steps),
            metrics=tuple(rows.metrics),
            times=tuple(rows.times),
        )
