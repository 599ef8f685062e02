"""How long runs take, from what was seen of them; what was not seen yet is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Numbers seen so far."""

    count: int = 0
    total: float = 0.0
    most: float = 0.0

    def plus(self, value: float) -> Self:
        """With one more of them."""
        most = value if self.count == 0 else max(self.most, value)
        return replace(self, count=self.count + 1, total=self.total + value, most=most)

    @property
    def mean(self) -> float | None:
        """Their mean, where there are any."""
        return self.total / self.count if self.count else None


def tallied(tallies: Mapping[str, Tally], name: str, value: float) -> dict[str, Tally]:
    """Tallies with one more number under a name."""
    return {**tallies, name: tallies.get(name, Tally()).plus(value)}


@dataclass(frozen=True, kw_only=True)
class RunningRun:
    """A run that a process works on; times are in seconds since 1970."""

    key: str
    stage: str
    label: str
    steps: int | None
    started_at: float
    first_step: int | None = None
    first_at: float = 0.0
    step: int | None = None
    step_at: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def reported(self, at: float, step: int, metrics: Mapping[str, float]) -> Self:
        """With a step that it reported; a metric that not each step has keeps its last value."""
        known = {**self.metrics, **metrics}
        if self.first_step is None:
            return replace(self, first_step=step, first_at=at, step=step, step_at=at, metrics=known)
        return replace(self, step=step, step_at=at, metrics=known)

    @property
    def seconds_per_step(self) -> float | None:
        """From its start; where it went on from a checkpoint, from its first report."""
        if self.step is None or self.first_step is None:
            return None
        if self.first_step == 1 and self.step > 0:
            return (self.step_at - self.started_at) / self.step
        if self.step > self.first_step:
            return (self.step_at - self.first_at) / (self.step - self.first_step)
        return None

    def seconds_left(self, now: float) -> float | None:
        """Until its last step, where it is known how many it has and how long one takes."""
        pace = self.seconds_per_step
        if pace is None or self.step is None or self.steps is None:
            return None
        return max(0.0, (self.steps - self.step) * pace - (now - self.step_at))

    def seconds_in_all(self, now: float) -> float | None:
        """What it takes from its start to its end, where that is known."""
        left = self.seconds_left(now)
        return None if left is None else now - self.started_at + left

    def seconds_left_at(self, now: float, pace: float | None) -> float | None:
        """By its own steps, else by what runs of its stage take."""
        own = self.seconds_left(now)
        if own is not None or pace is None:
            return own
        return max(0.0, pace - (now - self.started_at))
