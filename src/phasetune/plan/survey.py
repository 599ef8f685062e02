"""A whole study before it runs: later phases for every possible winner, as ranges.

Which trials a later phase has depends on who wins before it. Up to `MOST` combinations of winners
are gone through; beyond, the first point of each phase is taken as its winner, and that is said.
A phase that is decided has one possible winner.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from phasetune.plan.planner import Planner, count_points
from phasetune.plan.share import distinct_runs
from phasetune.plan.trial import PhasePlan, Run, Trial
from phasetune.stage.canonical import canonical_json
from phasetune.study.parameters import Settings

MOST = 1000


@dataclass(frozen=True, kw_only=True)
class Span:
    """The least and the most over all combinations of winners."""

    low: int
    high: int

    @classmethod
    def of(cls, counts: Iterable[int]) -> "Span":
        """The span of some counts, at least one."""
        found = list(counts)
        return cls(low=min(found), high=max(found))

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, kw_only=True)
class StageSurvey:
    """Runs of one stage in the whole study: asked for by trials, distinct, and stored already."""

    stage: str
    function: str
    asked: Span
    distinct: Span
    missing: Span


@dataclass(frozen=True, kw_only=True)
class PhaseSurvey:
    """A phase: `new` runs are those that no earlier phase has, `missing` those not stored.

    Where names of trials depend on earlier winners, they are those of the first combination.
    """

    name: str
    trials: tuple[str, ...]
    has_extra_baseline: bool
    replicates: int
    asked: Span
    new: Span
    missing: Span
    winner: str | None


@dataclass(frozen=True, kw_only=True)
class StudySurvey:
    """The study in numbers. `combinations` of winners were gone through, or one if too many."""

    phases: tuple[PhaseSurvey, ...]
    stages: tuple[StageSurvey, ...]
    trials: int
    settings: Span
    combinations: int
    is_exhaustive: bool


Winner = tuple[str, Settings]
Decided = Callable[[PhasePlan], Winner | None]


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One combination of winners: the phases' plans, the winners known, and the final trial."""

    plans: tuple[PhasePlan, ...]
    winners: tuple[str | None, ...]
    final: Trial | None

    def trials(self) -> Iterator[Trial]:
        for plan in self.plans:
            yield from plan.all_trials
        if self.final is not None:
            yield self.final


def survey(planner: Planner, *, decided: Decided, is_stored: Callable[[Run], bool]) -> StudySurvey:
    """Plan all phases; `decided` gives a phase's winner where it stands already."""
    counts = [count_points(phase) + 1 for phase in planner.study.phases[:-1]]
    first = planner.phase(0, planner.base_settings())
    is_exhaustive = math.prod(counts) <= MOST or _most_ways(planner, decided, first) <= MOST
    ways = list(_ways(planner, decided, first, is_exhaustive))
    stored = _Remembered(is_stored)
    return StudySurvey(
        phases=tuple(_phase(ways, i, stored) for i in range(len(planner.study.phases))),
        stages=_stages(ways, stored),
        trials=sum(len(plan.trials) for plan in ways[0].plans),
        settings=Span.of(
            len({canonical_json(t.settings) for plan in way.plans for t in plan.all_trials})
            for way in ways
        ),
        combinations=len(ways),
        is_exhaustive=is_exhaustive,
    )


class _Remembered:
    """Asks once per key."""

    def __init__(self, is_stored: Callable[[Run], bool]) -> None:
        self._is_stored = is_stored
        self._known: dict[str, bool] = {}

    def __call__(self, run: Run) -> bool:
        if run.key not in self._known:
            self._known[run.key] = self._is_stored(run)
        return self._known[run.key]


def _most_ways(planner: Planner, decided: Decided, plan: PhasePlan) -> int:
    """How many combinations of winners there may be, after the phases that are decided."""
    phases = planner.study.phases[plan.index : -1]
    winner = decided(plan)
    if winner is not None and phases:
        return _most_ways(planner, decided, planner.phase(plan.index + 1, winner[1]))
    kept = planner.study.if_infeasible == "keep_carried"
    return math.prod(count_points(phase) + kept for phase in phases)


def _ways(
    planner: Planner, decided: Decided, plan: PhasePlan, is_exhaustive: bool
) -> Iterator[_Way]:
    winner = decided(plan)
    name = None if winner is None else winner[0]
    is_last = plan.index == len(planner.study.phases) - 1
    options = [winner[1]] if winner is not None else _options(planner, plan)
    if is_last:
        yield _Way(plans=(plan,), winners=(name,), final=planner.final(options[0]))
        return
    for settings in options if is_exhaustive else options[:1]:
        following = planner.phase(plan.index + 1, settings)
        for rest in _ways(planner, decided, following, is_exhaustive):
            yield _Way(plans=(plan, *rest.plans), winners=(name, *rest.winners), final=rest.final)


def _options(planner: Planner, plan: PhasePlan) -> list[Settings]:
    kept = [plan.carried] if planner.study.if_infeasible == "keep_carried" else []
    return [*(trial.settings for trial in plan.trials), *kept]


def _phase(ways: Sequence[_Way], index: int, stored: _Remembered) -> PhaseSurvey:
    plans = [way.plans[index] for way in ways]
    plan = plans[0]
    new = [_new_runs(way, index) for way in ways]
    winners = {way.winners[index] for way in ways}
    return PhaseSurvey(
        name=plan.name,
        trials=tuple(trial.name for trial in plan.trials),
        has_extra_baseline=any(plan.all_trials != plan.trials for plan in plans),
        replicates=len(plan.trials[0].replicates),
        asked=Span.of(sum(len(trial.runs) for trial in plan.all_trials) for plan in plans),
        new=Span.of(len(runs) for runs in new),
        missing=Span.of(sum(not stored(run) for run in runs) for runs in new),
        winner=winners.pop() if len(winners) == 1 else None,
    )


def _new_runs(way: _Way, index: int) -> list[Run]:
    before = {
        run.key for plan in way.plans[:index] for trial in plan.all_trials for run in trial.runs
    }
    runs = distinct_runs(way.plans[index].all_trials)
    return [run for run in runs if run.key not in before]


def _stages(ways: Sequence[_Way], stored: _Remembered) -> tuple[StageSurvey, ...]:
    per_way = [distinct_runs(way.trials()) for way in ways]
    asked = [Counter(run.stage for trial in way.trials() for run in trial.runs) for way in ways]
    functions = {run.stage: run.function for run in per_way[0]}
    return tuple(
        StageSurvey(
            stage=stage,
            function=function,
            asked=Span.of(counts[stage] for counts in asked),
            distinct=Span.of(sum(run.stage == stage for run in runs) for runs in per_way),
            missing=Span.of(
                sum(run.stage == stage and not stored(run) for run in runs) for runs in per_way
            ),
        )
        for stage, function in functions.items()
    )
