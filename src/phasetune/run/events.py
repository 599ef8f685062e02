"""What happens while a study runs, as values; whoever wants to show it or keep it listens.

Events are flat and small, so that each is a line of the study's journal (`run.journal`), and a
display made from the journal shows what one in the driver's process shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from phasetune.plan.share import StageSharing
from phasetune.store.failures import Failure


@dataclass(frozen=True, kw_only=True)
class PhaseAhead:
    """A phase of the study, and how many trials the study file gives it."""

    name: str
    trials: int


@dataclass(frozen=True, kw_only=True)
class StudyStarted:
    """A command works on a study; `goes_on` where it was run before."""

    study: str
    results: Path
    phases: tuple[PhaseAhead, ...]
    metric: str
    mode: Literal["max", "min"]
    constraints: tuple[str, ...]
    goes_on: bool


@dataclass(frozen=True, kw_only=True)
class PhaseStarted:
    """A phase was planned: of its distinct runs `missing` are to be executed."""

    phase: str
    position: str
    trials: int
    sharing: Sequence[StageSharing]
    missing: int
    missing_by_stage: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class BackendStarting:
    """The first run of this command is about to be executed, and the backend starts.

    What must be there before workers are is made now: a listener may take its time for that.
    """

    backend: str


@dataclass(frozen=True, kw_only=True)
class WaveStarted:
    """Runs that need nothing from each other go to the backend."""

    phase: str
    runs: int
    backend: str
    device: str
    attempt: Path


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run was handed to a process; `steps` where it is known how many it has."""

    key: str
    stage: str
    label: str
    steps: int | None


@dataclass(frozen=True, kw_only=True)
class RunReported:
    """A run reported a step."""

    key: str
    stage: str
    label: str
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RunDone:
    """A run published its artifact; `resources` are what it took, such as `peak_memory_gib`."""

    key: str
    stage: str
    label: str
    metrics: Mapping[str, float]
    seconds: float
    resources: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RunFailed:
    """A run failed; the full traceback is in a file, `tail` are the last lines that it printed."""

    key: str
    stage: str
    label: str
    failure: Failure
    traceback: Path
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrialJudged:
    """All runs of a trial have an end: how it stands as far as is known, before the decision.

    `metrics` are the means over replicates of the objective and of what constraints are about;
    `is_reused` where no run of it was executed in this phase. Under a relative constraint trials
    are told of when the baseline that they are compared with is done.
    """

    phase: str
    trial: str
    standing: Literal["feasible", "infeasible", "ineligible"]
    reason: str | None
    metrics: Mapping[str, float]
    is_candidate: bool
    is_reused: bool


@dataclass(frozen=True, kw_only=True)
class PhaseDecided:
    """A phase's decision stands, in words; `is_new` when it was made now, `again` when it replaces
    one that no longer holds.
    """

    phase: str
    outcome: str
    winner: str | None
    sentences: tuple[str, ...]
    is_new: bool
    again: bool


@dataclass(frozen=True, kw_only=True)
class FinalDone:
    """What came of the last winner, trained on all training data; `test` are its test scores."""

    state: str
    reason: str | None
    test: Mapping[str, float] | None


@dataclass(frozen=True, kw_only=True)
class StudyEnded:
    """The command is at its end; `message` says why, where it was not done."""

    outcome: Literal["done", "interrupted", "refused"]
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """Something a person should know; no failure."""

    message: str


Event = (
    StudyStarted
    | PhaseStarted
    | BackendStarting
    | WaveStarted
    | RunStarted
    | RunReported
    | RunDone
    | RunFailed
    | TrialJudged
    | PhaseDecided
    | FinalDone
    | StudyEnded
    | Noticed
)


class Listener(Protocol):
    """Is told what happens, in the driver's process."""

    def notify(self, event: Event) -> None:
        """Take an event; must not raise, and block at `BackendStarting` alone."""


@dataclass(frozen=True)
class Listeners:
    """Several listeners as one; each is told in turn."""

    listeners: Sequence[Listener] = field(default_factory=tuple)

    def notify(self, event: Event) -> None:
        """Tell all of them."""
        for listener in self.listeners:
            listener.notify(event)


class NullListener:
    """Listens to nothing."""

    def notify(self, event: Event) -> None:
        """Drop the event."""
