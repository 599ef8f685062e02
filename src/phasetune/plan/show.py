"""A plan as a document, for `plan --json` and for whoever renders it."""

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from phasetune.plan.data import DataState
from phasetune.plan.survey import StudySurvey
from phasetune.store.artifacts import ArtifactStore

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
    """Estimate from the mean duration of stored runs of the same stages."""
    needed = [stage for stage in survey.stages if stage.missing.high]
    means = {s.stage: store.durations(s.stage, s.function) for s in needed}
    unknown = tuple(stage for stage, durations in means.items() if not durations)
    if unknown:
        return Cost(low_seconds=None, high_seconds=None, unknown_stages=unknown)
    return Cost(
        low_seconds=sum(fmean(means[s.stage]) * s.missing.low for s in needed),
        high_seconds=sum(fmean(means[s.stage]) * s.missing.high for s in needed),
        unknown_stages=(),
    )
