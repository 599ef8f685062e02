"""What the driver tells of a study and its phases, as events."""

from collections.abc import Mapping
from typing import Any

from phasetune.plan.points import count_points
from phasetune.plan.share import sharing
from phasetune.plan.trial import PhasePlan
from phasetune.run.events import FinalDone, PhaseAhead, PhaseDecided, PhaseStarted, StudyStarted
from phasetune.select.words import decision_sentences
from phasetune.store.paths import ResultsPaths
from phasetune.study.schema import Study


def study_started(study: Study, results: ResultsPaths) -> StudyStarted:
    """That a command works on the study."""
    return StudyStarted(
        study=study.name,
        results=results.root,
        phases=tuple(PhaseAhead(name=p.name, trials=count_points(p)) for p in study.phases),
        metric=study.objective.metric,
        mode=study.objective.mode,
        constraints=study.constraints,
        goes_on=results.study(study.name).study.exists(),
    )


def phase_started(study: Study, plan: PhasePlan, missing: Mapping[str, int]) -> PhaseStarted:
    """That a phase was planned; `missing` counts the runs to execute, by stage."""
    return PhaseStarted(
        phase=plan.name,
        position=f"{plan.index + 1}/{len(study.phases)}",
        trials=len(plan.trials),
        sharing=sharing(plan.all_trials),
        missing=sum(missing.values()),
        missing_by_stage=dict(missing),
    )


def phase_decided(record: Mapping[str, Any], *, is_new: bool, again: bool) -> PhaseDecided:
    """That a decision stands."""
    return PhaseDecided(
        phase=record["phase"],
        outcome=record["outcome"],
        winner=record["winner"],
        sentences=tuple(decision_sentences(record)),
        is_new=is_new,
        again=again,
    )


def final_done(record: Mapping[str, Any]) -> FinalDone:
    """What came of the last winner."""
    return FinalDone(state=record["state"], reason=record["reason"], test=record["test"])
