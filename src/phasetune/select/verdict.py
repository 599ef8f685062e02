"""Who may win: each trial's standing against the objective and the constraints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from phasetune.select.scores import Summary, TrialScore, summaries
from phasetune.study.constraint import Constraint
from phasetune.study.schema import Objective, Study


class Standing(StrEnum):
    """Feasible trials can win, infeasible ones break a constraint, others can't be judged."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    INELIGIBLE = "ineligible"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a phase's winner is picked."""

    objective: Objective
    constraints: tuple[Constraint, ...] = ()
    ties: str = "report"
    if_infeasible: str = "stop"

    @classmethod
    def of(cls, study: Study) -> "Rule":
        return cls(
            objective=study.objective,
            constraints=study.rules,
            ties=study.ties,
            if_infeasible=study.if_infeasible,
        )

    @property
    def sign(self) -> float:
        """1 where more is better, else -1."""
        return 1.0 if self.objective.mode == "max" else -1.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A trial's standing, the reason for it, and how far it is from each constraint's bound."""

    score: TrialScore
    standing: Standing
    reason: str | None = None
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0

    @property
    def name(self) -> str:
        return self.score.name


def judge(scores: Sequence[TrialScore], rule: Rule) -> tuple[Verdict, ...]:
    """A verdict for each score, in their order."""
    baseline = next((score for score in scores if score.baseline), None)
    known = {} if baseline is None or baseline.ineligible else summaries(baseline)
    return tuple(_verdict(score, rule, known) for score in scores)


def _verdict(score: TrialScore, rule: Rule, baseline: Mapping[str, Summary]) -> Verdict:
    metrics = summaries(score)
    reason = score.ineligible or _unjudgeable(score, rule, metrics, baseline)
    if reason is not None:
        return Verdict(score=score, standing=Standing.INELIGIBLE, reason=reason, metrics=metrics)
    margins = {
        constraint.text: constraint.margin(
            metrics[constraint.metric].mean, baseline=_mean(baseline, constraint.metric)
        )
        for constraint in rule.constraints
    }
    broken = [text for text, margin in margins.items() if margin < 0]
    return Verdict(
        score=score,
        standing=Standing.INFEASIBLE if broken else Standing.FEASIBLE,
        reason="; ".join(f"{text} by {-margins[text]:.4g}" for text in broken) or None,
        metrics=metrics,
        margins=margins,
        violation=_violation(margins, rule, baseline),
    )


def _unjudgeable(
    score: TrialScore,
    rule: Rule,
    metrics: Mapping[str, Summary],
    baseline: Mapping[str, Summary],
) -> str | None:
    needed = [rule.objective.metric, *(constraint.metric for constraint in rule.constraints)]
    for metric in dict.fromkeys(needed):
        if metric not in metrics:
            has = ", ".join(sorted({name for one in score.replicates for name in one}))
            return f"no metric {metric!r} in every replicate (it has {has or 'none'})"
        bad = [value for value in metrics[metric].values if not math.isfinite(value)]
        if bad:
            return f"{metric} is {bad[0]}"
    for constraint in rule.constraints:
        if not math.isfinite(constraint.resolved_bound(_mean(baseline, constraint.metric))):
            return f"the baseline has no {constraint.metric} to compare with"
    return None


def _mean(metrics: Mapping[str, Summary], metric: str) -> float | None:
    return metrics[metric].mean if metric in metrics else None


def _violation(margins: Mapping[str, float], rule: Rule, baseline: Mapping[str, Summary]) -> float:
    """Sum of shortfalls, each relative to its bound, so that constraints of any scale add up."""
    total = 0.0
    for constraint in rule.constraints:
        bound = abs(constraint.resolved_bound(_mean(baseline, constraint.metric)))
        total += max(0.0, -margins[constraint.text]) / (bound or 1.0)
    return total
