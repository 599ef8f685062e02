"""What a driver is told besides the study, and what it comes back with."""

from dataclasses import dataclass, field
from typing import Any

from phasetune.run.executor import Account
from phasetune.run.request import RunState


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a study is run, besides what it asks for. `phase` counts from 0; without `shares` each
    trial has runs of its own.
    """

    phase: int | None = None
    retry_failed: bool = False
    strict_environment: bool = False
    shares: bool = True


@dataclass(kw_only=True)
class StudyResult:
    """What a study came to: decisions by phase, the final record, and what was done for it."""

    account: Account
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    final: dict[str, Any] | None = None

    @property
    def is_final_failed(self) -> bool:
        """Whether the last winner's refit or test failed."""
        return self.final is not None and self.final["state"] != RunState.DONE
