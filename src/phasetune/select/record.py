"""A decision as the document that everybody reads: CLI, report, tracker and the next phase.

It names a digest of what it was decided from: the carried settings, the points, the rule, the
trials' keys and scores. It holds only while that digest is the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from phasetune.select.decide import Decision, Outcome
from phasetune.select.scores import Summary, TrialScore
from phasetune.select.verdict import Rule, Verdict
from phasetune.stage.canonical import Json
from phasetune.study.parameters import Settings

SCHEMA = 1


def rule_record(rule: Rule) -> dict[str, Any]:
    """The rule as plain values."""
    return {
        "objective": rule.objective.model_dump(mode="json"),
        "constraints": [constraint.text for constraint in rule.constraints],
        "ties": rule.ties,
        "if_infeasible": rule.if_infeasible,
    }


def inputs_record(
    *,
    carried: Settings,
    points: Mapping[str, Settings],
    rule: Rule,
    scores: Sequence[TrialScore],
) -> dict[str, Any]:
    """Everything that a decision follows from, as plain values; its digest names the decision."""
    return {
        "carried": dict(carried),
        "points": {name: dict(point) for name, point in points.items()},
        "rule": rule_record(rule),
        "scores": [_score_record(score) for score in scores],
    }


def _score_record(score: TrialScore) -> dict[str, Any]:
    return {
        "name": score.name,
        "index": score.index,
        "key": score.key,
        "replicates": [dict(replicate) for replicate in score.replicates],
        "ineligible": score.ineligible,
        "candidate": score.candidate,
        "baseline": score.baseline,
    }


def decision_record(
    decision: Decision,
    *,
    phase: str,
    inputs: str,
    rule: Rule,
    carried: Settings,
    trials: Mapping[str, Mapping[str, Any]],
    environments: Sequence[Mapping[str, Any]],
    inexact: Sequence[str] = (),
) -> dict[str, Any]:
    """The document. `trials` gives, per name, `point`, `settings`, `note` and `expect`; `inexact`
    says which runs would not come out the same, bit for bit, if they were computed again.
    """
    winner = decision.winner
    return {
        "schema": SCHEMA,
        "phase": phase,
        "inputs": inputs,
        "rule": rule_record(rule),
        "carried": dict(carried),
        "outcome": str(decision.outcome),
        "winner": winner,
        "settings": dict(carried if winner is None else trials[winner]["settings"]),
        "leader": decision.leader,
        "runner_up": decision.runner_up,
        "ties": list(decision.ties),
        "closest": decision.closest,
        "environments": [dict(environment) for environment in environments],
        "inexact": list(inexact),
        "trials": [{**_verdict_record(v, decision), **trials[v.name]} for v in decision.verdicts],
    }


def _verdict_record(verdict: Verdict, decision: Decision) -> dict[str, Any]:
    difference = decision.differences.get(verdict.name)
    return {
        "name": verdict.name,
        "key": verdict.score.key,
        "candidate": verdict.score.candidate,
        "baseline": verdict.score.baseline,
        "standing": str(verdict.standing),
        "reason": verdict.reason,
        "metrics": {name: summary_record(s) for name, s in verdict.metrics.items()},
        "margins": dict(verdict.margins),
        "behind_leader": None if difference is None else summary_record(difference),
    }


def summary_record(summary: Summary) -> dict[str, Json]:
    """Mean, standard error and values as plain values."""
    return {"mean": summary.mean, "sem": summary.sem, "values": list(summary.values)}


def carries(record: Mapping[str, Any]) -> bool:
    """Whether later phases may build on this decision."""
    return record["outcome"] not in (Outcome.NONE_FEASIBLE, Outcome.NONE_ELIGIBLE)


def carried_settings(record: Mapping[str, Any]) -> Settings:
    """The settings that the next phase starts from: the winner's, or what was carried before."""
    settings: Settings = record["settings"]
    return settings
