"""The contract between what a study leaves and whoever keeps track of it elsewhere.

A study is told as *records*: itself, its phases, their trials, and the replicates of a trial where
there are several. A record is a value with all that is known by now, so telling a tracker twice
changes nothing, and a tracker that was down, lost its store or is new is simply told again. What
keeps it cheap is the memory of what was told already (`tracking.memory`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

MOST_STEPS = 1000
"""How many steps are told at once."""

Kind = Literal["study", "phase", "trial", "replicate"]
"""What a record is about, from the top down."""


class Status(StrEnum):
    """How far a record is; words as MLflow has them."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, kw_only=True)
class Series:
    """Metrics of one stage by step: `steps` ascend, and there is a mapping and a time for each.

    Times are seconds since 1970. A metric `val_loss` of the stage `finetune` is told as
    `finetune/val_loss`, so that it has another name than a final metric.
    """

    stage: str
    steps: Sequence[int]
    metrics: Sequence[Mapping[str, float]]
    times: Sequence[float]

    def after(self, step: int) -> "Series":
        """The part behind a step."""
        first = next((i for i, found in enumerate(self.steps) if found > step), len(self.steps))
        return Series(
            stage=self.stage,
            steps=self.steps[first:],
            metrics=self.metrics[first:],
            times=self.times[first:],
        )


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of a study, phase, trial or replicate.

    `id` is the same whenever the study goes on, and unique in it; `parent` is the id of the record
    above, None for the study. `params` never change under an id. `metrics` are final ones.
    `artifacts` are files and folders by where they go in the tracker's store, told again when they
    change; `model` is the folder of the winner's model, and `workload` the import path that loads
    it.

    What can stop being true keeps its tag with another value, such as `winner` with `false`.
    """

    id: str
    parent: str | None
    kind: Kind
    name: str
    status: Status
    started: float | None = None
    ended: float | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Sequence[Series] = ()
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    model: Path | None = None
    workload: str | None = None


class Unavailable(Exception):  # noqa: N818 - not an error: it is tried again
    """The tracker's store does not answer, or refuses for now; the same is told again later."""


class Forgotten(Exception):  # noqa: N818 - not an error: all is told again
    """The tracker's store no longer has what it was told: it was emptied or replaced."""


class Tracker(Protocol):
    """Is told records, by one thread alone. Each method may block, and may raise `Unavailable` or
    `Forgotten`; what else it raises is a fault of that record, which is passed over, told of, and
    tried again at the end.

    What `open` returned, a record's handle, is kept with the study: later processes use it without
    calling `open` again.
    """

    name: str
    """As a study file has it, such as `mlflow`."""
    place: str
    """Where it writes, for people and without secrets."""

    def connect(self) -> None:
        """Be ready; called before anything else, and again after `Unavailable`."""

    def open(self, record: Record, parent: str | None) -> str:
        """Begin a record, or find the one that was begun before under its id and go on with it.

        `parent` is what `open` returned for the record above. Returns what the tracker calls it.
        """

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """Per stage, the last step that the store has of a record that was begun earlier.

        Asked for the study's own record when a process begins: `Forgotten` where the store has no
        such record.
        """

    def log(self, handle: str, series: Series) -> None:
        """Tell of steps that were not told before; at most `MOST_STEPS` at once."""

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,
        series: Sequence[Series] = (),
    ) -> None:
        """Tell parameters, tags, final metrics, artifacts, status, and before these of steps as
        `log` does: at most `MOST_STEPS` in all. `told` is what it was told last by this process,
        None where that is not known.

        Tags, metrics, artifacts and status replace what was told under the same name; what the
        record does not name stays.
        """

    def close(self) -> None:
        """Flush and leave; called once, also after `Unavailable`, and also without `connect`."""
