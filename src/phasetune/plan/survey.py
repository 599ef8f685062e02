"""A whole study before it runs: later phases for every possible winner, as ranges.

Which trials a later phase has depends on who wins before it. Up to `MOST` combinations of winners,
with up to `MOST_TRIALS` replicates of trials in all, are gone through; beyond, the first point of
each phase is taken as its winner, and that is said. A phase that is decided has one possible
winner.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from phasetune.plan.epochs import CountedRuns, StepSurvey, step_survey
from phasetune.plan.milestones import StoredSteps, nothing_stored
from phasetune.plan.planner import Planner
from phasetune.plan.points import count_points
from phasetune.plan.share import distinct_runs
from phasetune.plan.span import Span
from phasetune.plan.trial import PhasePlan, Run, Trial
from phasetune.stage.canonical import canonical_json
from phasetune.study.parameters import Settings

MOST = 1000
MOST_TRIALS = 20_000


@dataclass(frozen=True, kw_only=True)
class StageSurvey:
    """Runs of one stage: asked for by each trial by itself, distinct, and not stored.

    `alone` and `shared` are what the phases' own trials ask for and how many distinct runs that
    is; the others count extra baselines, the final refit and the test as well. `steps` is there
    where the stage has milestones.
    """

    stage: str
    function: str
    alone: Span
    shared: Span
    asked: Span
    distinct: Span
    missing: Span
    steps: StepSurvey | None


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


class _Planned:
    """A phase planned around one way in, counted once however many ways go through it."""

    def __init__(self, plan: PhasePlan) -> None:
        self.plan = plan
        self.runs = {run.key: run for run in distinct_runs(plan.all_trials)}
        self.asked = _asked(plan.all_trials)
        self.alone = _asked(plan.trials)
        self.own = {run.key: run for run in distinct_runs(plan.trials)}
        self.settings = {canonical_json(trial.settings) for trial in plan.all_trials}

    @cached_property
    def runs_alone(self) -> list[Run]:
        """What the phase's own trials take, each by itself."""
        return [run for trial in self.plan.trials for run in trial.runs_alone]


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One combination of winners: the phases, the winners known, and the final trial."""

    phases: tuple[_Planned, ...]
    winners: tuple[str | None, ...]
    final: Trial | None

    @cached_property
    def new(self) -> list[list[Run]]:
        """Per phase, and last for the final trial, the runs that nothing before has."""
        final = distinct_runs([] if self.final is None else [self.final])
        steps = [*(phase.runs for phase in self.phases), {run.key: run for run in final}]
        return [
            [run for key, run in step.items() if not any(key in before for before in steps[:i])]
            for i, step in enumerate(steps)
        ]

    def asked(self) -> Counter[str]:
        final = _asked([] if self.final is None else [self.final])
        return sum((phase.asked for phase in self.phases), final)

    def alone(self) -> Counter[str]:
        return sum((phase.alone for phase in self.phases), Counter[str]())

    def shared(self) -> Counter[str]:
        return Counter(run.stage for run in self.own_runs)

    @cached_property
    def own_runs(self) -> list[Run]:
        """The distinct runs of the phases' own trials."""
        own = {key: run for phase in self.phases for key, run in phase.own.items()}
        return list(own.values())

    def runs_alone(self) -> list[Run]:
        """What the phases' own trials take, each by itself."""
        return [run for phase in self.phases for run in phase.runs_alone]


def _asked(trials: Iterable[Trial]) -> Counter[str]:
    return Counter(run.stage for trial in trials for run in trial.runs_alone)


def survey(
    planner: Planner,
    *,
    decided: Decided,
    is_stored: Callable[[Run], bool],
    stored_steps: StoredSteps = nothing_stored,
) -> StudySurvey:
    """Plan all phases; `decided` gives a phase's winner where it stands already."""
    first = planner.phase(0, planner.base_settings())
    is_exhaustive = _is_feasible(planner, decided, first)
    ways = list(_ways(planner, decided, first, is_exhaustive))
    stored = _Remembered(is_stored)
    return StudySurvey(
        phases=tuple(_phase(ways, i, stored) for i in range(len(planner.study.phases))),
        stages=_stages(ways, stored, stored_steps),
        trials=sum(len(phase.plan.trials) for phase in ways[0].phases),
        settings=Span.of(len(set().union(*(p.settings for p in way.phases))) for way in ways),
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


def _is_feasible(planner: Planner, decided: Decided, plan: PhasePlan) -> bool:
    """Whether all combinations of winners, after the decided phases, can be gone through."""
    phases = planner.study.phases[plan.index :]
    winner = decided(plan)
    if winner is not None and len(phases) > 1:
        return _is_feasible(planner, decided, planner.phase(plan.index + 1, winner[1]))
    kept = planner.study.if_infeasible == "keep_carried"
    ways, planned = 1, 0
    for phase in phases:
        planned += ways * count_points(phase)
        ways *= count_points(phase) + kept
    ways //= count_points(phases[-1]) + kept
    return ways <= MOST and planned * planner.repetitions <= MOST_TRIALS


def _ways(
    planner: Planner, decided: Decided, plan: PhasePlan, is_exhaustive: bool
) -> Iterator[_Way]:
    winner, planned = decided(plan), _Planned(plan)
    name = None if winner is None else winner[0]
    is_last = plan.index == len(planner.study.phases) - 1
    options = [winner[1]] if winner is not None else _options(planner, plan)
    if is_last:
        yield _Way(phases=(planned,), winners=(name,), final=planner.final(options[0]))
        return
    for settings in options if is_exhaustive else options[:1]:
        following = planner.phase(plan.index + 1, settings)
        for rest in _ways(planner, decided, following, is_exhaustive):
            yield _Way(
                phases=(planned, *rest.phases), winners=(name, *rest.winners), final=rest.final
            )


def _options(planner: Planner, plan: PhasePlan) -> list[Settings]:
    kept = [plan.carried] if planner.study.if_infeasible == "keep_carried" else []
    return [*(trial.settings for trial in plan.trials), *kept]


def _phase(ways: Sequence[_Way], index: int, stored: _Remembered) -> PhaseSurvey:
    plans = [way.phases[index].plan for way in ways]
    winners = {way.winners[index] for way in ways}
    return PhaseSurvey(
        name=plans[0].name,
        trials=tuple(trial.name for trial in plans[0].trials),
        has_extra_baseline=any(len(plan.all_trials) > len(plan.trials) for plan in plans),
        replicates=len(plans[0].trials[0].replicates),
        asked=Span.of(way.phases[index].asked.total() for way in ways),
        new=Span.of(len(way.new[index]) for way in ways),
        missing=Span.of(sum(not stored(run) for run in way.new[index]) for way in ways),
        winner=winners.pop() if len(winners) == 1 else None,
    )


def _stages(
    ways: Sequence[_Way], stored: _Remembered, stored_steps: StoredSteps
) -> tuple[StageSurvey, ...]:
    distinct = [[run for runs in way.new for run in runs] for way in ways]
    missing = [Counter(run.stage for run in runs if not stored(run)) for runs in distinct]
    counts = [Counter(run.stage for run in runs) for runs in distinct]
    asked = [way.asked() for way in ways]
    alone, shared = [way.alone() for way in ways], [way.shared() for way in ways]
    functions = {run.stage: run.function for run in distinct[0]}
    counted = [
        CountedRuns(
            alone=way.runs_alone(),
            shared=way.own_runs,
            missing=[run for run in runs if not stored(run)],
        )
        for way, runs in zip(ways, distinct, strict=True)
        if any(run.milestone is not None for run in distinct[0])
    ]
    return tuple(
        StageSurvey(
            stage=stage,
            function=function,
            alone=Span.of(found[stage] for found in alone),
            shared=Span.of(found[stage] for found in shared),
            asked=Span.of(found[stage] for found in asked),
            distinct=Span.of(found[stage] for found in counts),
            missing=Span.of(found[stage] for found in missing),
            steps=step_survey(stage, counted, stored_steps),
        )
        for stage, function in functions.items()
    )
