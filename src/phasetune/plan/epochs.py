"""How many epochs a study asks for, and how many of them are distinct."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phasetune.plan.milestones import (
    StoredSteps,
    costliest_step,
    steps_alone,
    steps_together,
)
from phasetune.plan.span import Span
from phasetune.plan.trial import Run


@dataclass(frozen=True, kw_only=True)
class StepSurvey:
    """Steps of a stage's runs: of the phases' own trials each by itself, together, not stored.

    The `weighed` ones count a step by what it costs beside the costliest. `unit` is the horizon's
    name; `why_alone` says why runs share no steps.
    """

    unit: str
    alone: Span
    shared: Span
    missing: Span
    weighed_alone: Span
    weighed_shared: Span
    why_alone: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CountedRuns:
    """Runs of one combination of winners: of the phases' own trials, and those not stored."""

    alone: Sequence[Run]
    shared: Sequence[Run]
    missing: Sequence[Run]


def step_survey(stage: str, ways: Sequence[CountedRuns], stored: StoredSteps) -> StepSurvey | None:
    """The steps of a stage; None where none of its runs has a horizon."""
    seen = [run for way in ways for run in _of(stage, way.alone)]
    milestones = [run.milestone for run in seen if run.milestone is not None]
    if not milestones:
        return None
    most = costliest_step(seen)
    alone = [steps_alone(_of(stage, way.alone), costliest=most) for way in ways]
    shared = [steps_together(_of(stage, way.shared), costliest=most) for way in ways]
    missing = [
        steps_together(_of(stage, way.missing), costliest=most, stored=stored) for way in ways
    ]
    return StepSurvey(
        unit=milestones[0].horizon,
        alone=Span.of(count.steps for count in alone),
        shared=Span.of(count.steps for count in shared),
        missing=Span.of(count.steps for count in missing),
        weighed_alone=Span.of(round(count.cost) for count in alone),
        weighed_shared=Span.of(round(count.cost) for count in shared),
        why_alone=tuple(dict.fromkeys(m.why_alone for m in milestones if m.why_alone)),
    )


def _of(stage: str, runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run.stage == stage]
