"""A plan as a document, for `plan --json` and for whoever renders it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from phasetune.plan.data import DataState
from phasetune.plan.survey import StageSurvey, StudySurvey
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import RunSize, mean_seconds, mean_size

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of computing that the missing runs take one after the other, or why unknown."""

    low_seconds: float | None
    high_seconds: float | None
    unknown_stages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes that the missing runs leave, but those of `unknown_stages`, and what is free."""

    low_bytes: int
    high_bytes: int
    free_bytes: int
    unknown_stages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study will run, what of it is shared, what is stored, and what it will cost.

    `takes` says what a run asks of a machine; `changes` are sentences: what is different from when
    the study was last kept.
    """

    study: str
    survey: StudySurvey
    data: DataState
    cost: Cost
    disk: Disk
    takes: str = ""
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "schema": SCHEMA,
            "study": self.study,
            "keys_known": self.data.is_known,
            "changes": list(self.changes),
            "warnings": list(self.warnings),
            "data_problems": list(self.data.problems),
            **asdict(self.survey),
            "cost": asdict(self.cost),
            "disk": asdict(self.disk),
            "takes": self.takes,
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


def disk_of(
    survey: StudySurvey,
    store: ArtifactStore,
    *,
    free_bytes: int,
    resume_bytes: int,
    most_checkpoint_bytes: float,
) -> Disk:
    """Estimate from stored runs of the same stages: the mean of a run.

    `resume_bytes` is what runs in flight hold besides, `most_checkpoint_bytes` what the study
    allows its checkpoints.
    """
    needed = [stage for stage in survey.stages if stage.missing.high]
    sizes = {stage.stage: mean_size(store, stage.stage, stage.function) for stage in needed}
    known = [(stage.missing, size) for stage in needed if (size := sizes[stage.stage]) is not None]

    def total(missing: Sequence[tuple[int, RunSize]]) -> int:
        checkpoints = sum(count * size.checkpoints for count, size in missing)
        left = sum(count * size.artifact for count, size in missing)
        held = resume_bytes if any(count for count, _ in missing) else 0
        return round(left + min(checkpoints + held, most_checkpoint_bytes))

    return Disk(
        low_bytes=total([(missing.low, size) for missing, size in known]),
        high_bytes=total([(missing.high, size) for missing, size in known]),
        free_bytes=free_bytes,
        unknown_stages=tuple(stage for stage, size in sizes.items() if size is None),
    )


def _unit(stage: StageSurvey) -> str | None:
    return None if stage.steps is None else stage.steps.unit
