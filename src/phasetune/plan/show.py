"""A plan as a document, for `plan --json` and for whoever renders it."""

from dataclasses import asdict, dataclass
from typing import Any

from phasetune.plan.data import DataState
from phasetune.plan.survey import StageSurvey, StudySurvey
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import mean_seconds

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of computing that the missing runs take one after the other, or why unknown."""

    low_seconds: float | None
    high_seconds: float | None
    unknown_stages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study will run, what of it is shared, what is stored, and what it will cost."""

    study: str
    survey: StudySurvey
    data: DataState
    cost: Cost
    warnings: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "schema": SCHEMA,
            "study": self.study,
            "keys_known": self.data.is_known,
            "warnings": list(self.warnings),
            "data_problems": list(self.data.problems),
            **asdict(self.survey),
            "cost": asdict(self.cost),
        }


def cost_of(survey: StudySurvey, store: ArtifactStore) -> Cost:
    """Estimate from stored runs of the same stages: the mean of a run, or of a step."""
    needed = [stage for stage in survey.stages if stage.missing.high]
    means = {s.stage: mean_seconds(store, s.stage, s.function, per=_unit(s)) for s in needed}
    unknown = tuple(stage for stage, mean in means.items() if mean is None)
    if unknown:
        return Cost(low_seconds=None, high_seconds=None, unknown_stages=unknown)
    missing = {s.stage: s.missing if s.steps is None else s.steps.missing for s in needed}
    return Cost(
        low_seconds=sum((means[stage] or 0.0) * span.low for stage, span in missing.items()),
        high_seconds=sum((means[stage] or 0.0) * span.high for stage, span in missing.items()),
        unknown_stages=(),
    )


def _unit(stage: StageSurvey) -> str | None:
    return None if stage.steps is None else stage.steps.unit
