"""What a person should know before relying on a winner: findings of named checks, by severity."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from phasetune.report.page import checks
from phasetune.report.page.checks import Report


class Severity(StrEnum):
    """A warning may change the decision; a note says how far it reaches."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check has to say, in one sentence or two."""

    check: str
    severity: Severity
    sentence: str


CHECKS: Mapping[Callable[[Report], Iterator[str]], Severity] = {
    checks.final_failed: Severity.WARNING,
    checks.chosen_on_test: Severity.WARNING,
    checks.class_collapse: Severity.WARNING,
    checks.nothing_feasible: Severity.WARNING,
    checks.constraint_mostly_violated: Severity.WARNING,
    checks.failed_trials: Severity.WARNING,
    checks.test_below_validation: Severity.WARNING,
    checks.worse_than_baseline: Severity.WARNING,
    checks.within_noise: Severity.WARNING,
    checks.one_replicate: Severity.WARNING,
    checks.mixed_environments: Severity.WARNING,
    checks.lead_not_clear: Severity.NOTE,
    checks.few_test_rows: Severity.WARNING,
    checks.winner_at_edge: Severity.NOTE,
    checks.expectations_missed: Severity.NOTE,
    checks.inexact_runs: Severity.NOTE,
}
"""Every check, in the order in which a person needs them."""


def findings(report: Report) -> tuple[Finding, ...]:
    """Everything that the checks find in a canonical report, warnings first."""
    found = [
        Finding(check=check.__name__, severity=severity, sentence=sentence)
        for check, severity in CHECKS.items()
        for sentence in check(report)
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.WARNING))
