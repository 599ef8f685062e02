"""What a study came to, as an object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from phasetune.run.executor import FailedRun
from phasetune.run.result import StudyResult
from phasetune.select.decide import Outcome
from phasetune.store.paths import StudyPaths

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PhaseOutcome:
    """A phase's decision, and its trials as a DataFrame."""

    decision: Mapping[str, Any]
    _paths: StudyPaths

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """One row per trial: standing, parameters, and per metric mean and standard error."""
        import pandas as pd

        return pd.read_parquet(self._paths.phase(self.decision["phase"]).trials)


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study came to."""

    paths: StudyPaths
    result: StudyResult
    report: Mapping[str, Any]

    @property
    def decisions(self) -> dict[str, dict[str, Any]]:
        """The decision of each phase, by its name."""
        return self.result.decisions

    @property
    def phases(self) -> dict[str, PhaseOutcome]:
        """Decision and trials of each phase, by its name."""
        return {name: PhaseOutcome(record, self.paths) for name, record in self.decisions.items()}

    @property
    def winner(self) -> Mapping[str, Any] | None:
        """The last decision's `trial`, `phase`, `settings`, `validation` and `test` scores."""
        found: Mapping[str, Any] | None = self.report["final_recommendation"]
        return found

    @property
    def failures(self) -> Sequence[FailedRun]:
        """The runs that failed."""
        return self.result.account.failures

    @property
    def exit_code(self) -> int:
        """0, 1 for a phase without a judgeable trial or a failed final, 3 for none feasible."""
        outcomes = [record["outcome"] for record in self.decisions.values()]
        if Outcome.NONE_ELIGIBLE in outcomes or self.result.is_final_failed:
            return 1
        return 3 if Outcome.NONE_FEASIBLE in outcomes else 0
