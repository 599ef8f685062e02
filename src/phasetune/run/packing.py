"""How many runs fit on one GPU: `resources_per_trial: {gpu: auto}`.

One step of the largest setting of a stage is measured, and each run of the stage then takes 1/n of
a GPU, with the largest n for which

    n * (measured bytes * MARGIN + CONTEXT_BYTES) <= bytes of the GPU

and which the CPUs have threads for, at least 1 and at most 16. The margin is for what later steps
take besides (another validation batch, fragments of torch's allocator), `CONTEXT_BYTES` for what a
process holds besides tensors. Whatever runs beside a run, it can't take more than its part.

Which setting is the largest is not known before it is measured. One setting covers another where no
number in it is smaller and all else is equal; those that no other covers are measured, but at most
four, and the one that took most counts. What was measured serves all later settings that it covers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phasetune.run.gpu_memory import CONTEXT_BYTES
from phasetune.run.request import RunRequest
from phasetune.store.space import GIB
from phasetune.study.resources import rounded_down

MARGIN = 1.2
MOST_AT_ONCE = 16
MOST_MEASURED = 4


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes that a step took of a GPU's memory, and how many that has."""

    taken_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class NotMeasured:
    """Why a step could not be measured, as a clause."""

    why: str


Measure = Callable[[RunRequest], StepMemory | NotMeasured]
Settings = Mapping[str, Any]


def runs_at_once(step: StepMemory, *, most: int) -> int:
    """How many runs such as the measured one share a GPU; `most` is how many have CPUs there."""
    needed = step.taken_bytes * MARGIN + CONTEXT_BYTES
    return max(1, min(int(step.total_bytes // needed), most, MOST_AT_ONCE))


def covers(large: Settings, small: Settings) -> bool:
    """Whether no number of `small` exceeds that of `large`, and all else is equal."""
    return large.keys() == small.keys() and all(
        value <= large[name] if _are_numbers(value, large[name]) else value == large[name]
        for name, value in small.items()
    )


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def largest_settings(settings: Sequence[Settings]) -> list[int]:
    """The places of the settings that no other covers, of equal ones the first; at most four.

    Of more than four those count that are largest in all, each number beside its largest.
    """
    found: list[int] = []
    for i, setting in enumerate(settings):
        if not any(covers(settings[other], setting) for other in found):
            found = [other for other in found if not covers(setting, settings[other])] + [i]
    most = {name: max(_sizes(settings, name), default=0.0) for name in settings[0]}
    found.sort(key=lambda i: -sum(_of(settings[i][name], most[name]) for name in settings[i]))
    return sorted(found[:MOST_MEASURED])


def _sizes(settings: Sequence[Settings], name: str) -> list[float]:
    return [float(abs(s[name])) for s in settings if _are_numbers(s.get(name))]


def _of(value: Any, most: float) -> float:
    return value / most if most and _are_numbers(value) else 0.0


@dataclass(frozen=True, kw_only=True)
class _Known:
    settings: Settings
    label: str
    step: StepMemory


class GpuParts:
    """The part of a GPU that each stage's runs take, measured where nothing measured covers them.

    A stage that could not be measured takes whole GPUs from then on.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[_Known]] = {}
        self._whole: set[str] = set()

    def of(
        self,
        wave: Sequence[RunRequest],
        *,
        measure: Measure,
        most_at_once: int,
        tell: Callable[[str], None],
    ) -> dict[str, float]:
        """The part per stage of a wave's runs, as they are; `tell` hears what was measured."""
        parts: dict[str, float] = {}
        for stage in dict.fromkeys(r.run.stage for r in wave if r.run.uses_gpu):
            runs = [request for request in wave if request.run.stage == stage]
            runs = [runs[i] for i in largest_settings([run.settings for run in runs])]
            is_new = self._measure(stage, runs, measure, tell)
            parts[stage] = 1.0
            if stage not in self._whole:
                largest = self._largest(stage, runs)
                count = runs_at_once(largest.step, most=most_at_once)
                parts[stage] = rounded_down(1 / count)
                if is_new:
                    tell(_told(largest, count))
        return parts

    def _measure(
        self, stage: str, runs: Sequence[RunRequest], measure: Measure, tell: Callable[[str], None]
    ) -> bool:
        """Measure what is not covered; whether anything was."""
        known = self._known.setdefault(stage, [])
        is_new = False
        for request in runs:
            if stage in self._whole or any(covers(k.settings, request.settings) for k in known):
                continue
            step = measure(request)
            if isinstance(step, NotMeasured):
                self._whole.add(stage)
                tell(f"{request.label} could not be measured: {step.why}; it takes a whole GPU")
                return False
            known.append(_Known(settings=request.settings, label=request.label, step=step))
            is_new = True
        return is_new

    def _largest(self, stage: str, runs: Sequence[RunRequest]) -> _Known:
        """The one that took most of those that cover a run with the least."""
        covering = (
            [known for known in self._known[stage] if covers(known.settings, run.settings)]
            for run in runs
        )
        least = (min(found, key=_taken) for found in covering)
        return max(least, key=_taken)


def _taken(known: _Known) -> int:
    return known.step.taken_bytes


def _told(known: _Known, count: int) -> str:
    taken, total = known.step.taken_bytes / GIB, known.step.total_bytes / GIB
    each = "each a whole GPU" if count == 1 else f"{count} at once, each 1/{count} of a GPU"
    return f"{known.label} took {taken:.1f} of {total:.1f} GiB; {each}"
