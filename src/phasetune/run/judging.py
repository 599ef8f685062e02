"""Tells how trials stand while their phase runs, as soon as all runs of one have an end.

It is what the decision would say of the trial alone; who wins is decided when all are done.
"""

from collections.abc import Iterable, Mapping, Sequence

from phasetune.plan.trial import PhasePlan, Trial
from phasetune.run.events import (
    Event,
    Listener,
    RunDone,
    RunFailed,
    TrialJudged,
    WaveStarted,
)
from phasetune.run.ledger import Ledger
from phasetune.run.request import RunState
from phasetune.run.scoring import trial_score
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule, Verdict, judge


class TrialWatch:
    """Passes events on, and adds `TrialJudged` for trials whose runs all have an end.

    Trials that were complete before the first wave are told of with that wave.
    """

    def __init__(self, listener: Listener, plan: PhasePlan, rule: Rule, ledger: Ledger) -> None:
        self._listener = listener
        self._plan = plan
        self._rule = rule
        self._ledger = ledger
        trials = plan.all_trials
        self._waiting = {trial.name: trial for trial in trials}
        self._places = {trial.name: place for place, trial in enumerate(trials)}
        self._users: dict[str, list[str]] = {}
        for trial in trials:
            for run in trial.runs_alone:
                self._users.setdefault(run.key, []).append(trial.name)
        self._pending: dict[str, set[str]] = {}
        self._has_begun = False
        self._undecided: list[Trial] = []

    def notify(self, event: Event) -> None:
        """Pass the event on; tell of trials that are complete with it."""
        self._listener.notify(event)
        if isinstance(event, WaveStarted) and not self._has_begun:
            self._has_begun = True
            self._look_at(self._waiting)
            self._judge(list(self._waiting), is_reused=True)
        elif isinstance(event, RunDone | RunFailed):
            names = [name for name in self._users.get(event.key, []) if name in self._waiting]
            if isinstance(event, RunFailed):  # what comes after it will not run
                self._look_at(names)
            for name in names:
                self._pending[name].discard(event.key)
            self._judge(names, is_reused=False)

    def _look_at(self, names: Iterable[str]) -> None:
        """Which runs of trials have no end yet, as the store has it."""
        for name in names:
            states = self._ledger.states(self._waiting[name].runs)
            self._pending[name] = {k for k, state in states.items() if state is RunState.PENDING}

    def _judge(self, names: Sequence[str], *, is_reused: bool) -> None:
        ended = [self._waiting[name] for name in names if not self._pending[name]]
        for trial in ended:
            del self._waiting[trial.name]
            self._tell(trial, is_reused=is_reused)
        if self._is_baseline(ended):
            undecided, self._undecided = self._undecided, []
            for trial in undecided:
                self._tell(trial, is_reused=is_reused)

    def _is_baseline(self, trials: Sequence[Trial]) -> bool:
        baseline = self._plan.baseline
        return baseline is not None and any(trial.name == baseline.name for trial in trials)

    def _tell(self, trial: Trial, *, is_reused: bool) -> None:
        baseline = self._plan.baseline
        needs_baseline = any(rule.is_relative for rule in self._rule.constraints)
        if needs_baseline and baseline is not None and baseline.name in self._waiting:
            self._undecided.append(trial)
            return
        scores = [self._score(trial)]
        if baseline is not None and baseline.name != trial.name:
            scores.append(self._score(baseline))
        verdict = judge(scores, self._rule)[0]
        self._listener.notify(
            TrialJudged(
                phase=self._plan.name,
                trial=trial.name,
                standing=verdict.standing.value,
                reason=verdict.reason,
                metrics=self._means(verdict),
                is_candidate=verdict.score.candidate,
                is_reused=is_reused,
            )
        )

    def _score(self, trial: Trial) -> TrialScore:
        return trial_score(self._plan, self._places[trial.name], trial, self._ledger)

    def _means(self, verdict: Verdict) -> Mapping[str, float]:
        told = [self._rule.objective.metric, *(rule.metric for rule in self._rule.constraints)]
        return {name: verdict.metrics[name].mean for name in told if name in verdict.metrics}
