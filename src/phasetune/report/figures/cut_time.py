"""Time with its pauses cut out, so that a night between two commands does not flatten a picture."""

from dataclasses import dataclass

import pandas as pd

_LEAST_PAUSE_SECONDS = 60.0
_PAUSE_SHARE = 0.1
_BREAK_SHARE = 0.025


@dataclass(frozen=True, kw_only=True)
class CutTime:
    """Seconds without pauses: `busy` are the stretches in which something ran."""

    busy: tuple[tuple[float, float], ...]

    @property
    def break_seconds(self) -> float:
        """How wide a pause is drawn."""
        return _BREAK_SHARE * sum(end - start for start, end in self.busy)

    def place(self, seconds: float) -> float:
        """Where a moment lies on the axis."""
        at = 0.0
        for start, end in self.busy:
            if seconds <= end:
                return at + max(0.0, seconds - start)
            at += end - start + self.break_seconds
        return at - self.break_seconds

    @property
    def breaks(self) -> list[float]:
        """The middle of each pause on the axis."""
        return [self.place(end) + self.break_seconds / 2 for _, end in self.busy[:-1]]


def cut_time(times: pd.DataFrame) -> CutTime:
    """Time without the pauses that are longer than a tenth of all that was computed."""
    drawn = times.dropna(subset="start_seconds")
    spans = sorted(
        zip(drawn["start_seconds"], drawn["start_seconds"] + drawn["seconds"], strict=True)
    )
    merged: list[tuple[float, float]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    busy = sum(end - start for start, end in merged)
    least = max(_LEAST_PAUSE_SECONDS, _PAUSE_SHARE * busy)
    joined: list[tuple[float, float]] = []
    for start, end in merged:
        if joined and start - joined[-1][1] <= least:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return CutTime(busy=tuple(joined))
