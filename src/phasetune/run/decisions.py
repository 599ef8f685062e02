"""From a phase's artifacts to its decision."""

from collections.abc import Sequence
from typing import Any

from phasetune.plan.trial import PhasePlan, Trial
from phasetune.run.ledger import Ledger
from phasetune.run.request import RunState
from phasetune.run.scoring import environments, inexact_runs, phase_scores
from phasetune.select.decide import decide
from phasetune.select.record import decision_record, inputs_record
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule
from phasetune.store.documents import document_digest


def decision_inputs(plan: PhasePlan, rule: Rule, ledger: Ledger) -> str:
    """A digest of everything that the phase's decision follows from."""
    return _inputs(plan, rule, phase_scores(plan, ledger))


def _inputs(plan: PhasePlan, rule: Rule, scores: Sequence[TrialScore]) -> str:
    points = {trial.name: trial.point for trial in plan.trials}
    return document_digest(
        inputs_record(carried=plan.carried, points=points, rule=rule, scores=scores)
    )


def phase_decision(plan: PhasePlan, rule: Rule, ledger: Ledger) -> dict[str, Any]:
    """Decide a phase; the document says what from."""
    scores = phase_scores(plan, ledger)
    return decision_record(
        decide(scores, rule),
        phase=plan.name,
        inputs=_inputs(plan, rule, scores),
        rule=rule,
        carried=plan.carried,
        trials={trial.name: _about(trial) for trial in plan.all_trials},
        environments=environments(plan.all_trials, ledger),
        inexact=inexact_runs(plan.all_trials, ledger),
    )


def may_win(plan: PhasePlan, rule: Rule, ledger: Ledger) -> frozenset[str]:
    """Names of the trials that a phase's winner may still be, by what is stored so far.

    Those that would win now, or are tied with it, or came closest; and those that are not done.
    """
    scores = phase_scores(plan, ledger)
    decision = decide(scores, rule)
    named = {decision.winner, decision.leader, decision.closest, *decision.ties} - {None}
    states = {trial.name: ledger.states(trial.runs) for trial in plan.trials}
    undone = {name for name, found in states.items() if RunState.PENDING in found.values()}
    return frozenset({str(name) for name in named} | undone)


def _about(trial: Trial) -> dict[str, Any]:
    return {
        "point": dict(trial.point),
        "settings": dict(trial.settings),
        "note": trial.note,
        "expect": {metric: list(bounds) for metric, bounds in trial.expect.items()},
    }
