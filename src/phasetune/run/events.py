"""What happens while a study runs, as values; whoever wants to show it listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from phasetune.plan.share import StageSharing
from phasetune.store.failures import Failure


@dataclass(frozen=True, kw_only=True)
class PhaseStarted:
    """A phase was planned; `missing` of its distinct runs are not stored."""

    phase: str
    position: str
    trials: int
    sharing: Sequence[StageSharing]
    missing: int


@dataclass(frozen=True, kw_only=True)
class WaveStarted:
    """Runs that need nothing from each other go to the backend."""

    phase: str
    runs: int
    backend: str
    attempt: Path


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run was handed to a process."""

    label: str


@dataclass(frozen=True, kw_only=True)
class RunReported:
    """A run reported a step."""

    label: str
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RunDone:
    """A run published its artifact."""

    label: str
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunFailed:
    """A run failed; the full traceback is in a file."""

    label: str
    failure: Failure
    traceback: Path


@dataclass(frozen=True, kw_only=True)
class PhaseDecided:
    """A phase's decision stands; `again` when it replaces one that no longer holds."""

    record: Mapping[str, Any]
    again: bool


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """Something a person should know; no failure."""

    message: str


Event = (
    PhaseStarted
    | WaveStarted
    | RunStarted
    | RunReported
    | RunDone
    | RunFailed
    | PhaseDecided
    | Noticed
)


class Listener(Protocol):
    """Is told what happens, in the driver's process."""

    def notify(self, event: Event) -> None:
        """Take an event; must not raise and not block."""


class NullListener:
    """Listens to nothing."""

    def notify(self, event: Event) -> None:
        """Drop the event."""
