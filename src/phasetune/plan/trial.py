"""The values of a plan: runs, replicates, trials, phases."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from phasetune.stage.canonical import Json, digest
from phasetune.stage.contract import Fold, Milestone
from phasetune.study.parameters import Settings


@dataclass(frozen=True, kw_only=True)
class TrunkPoint:
    """Where a run branches off the trunk that it shares with runs of other horizons."""

    id: str
    step: int

    @property
    def key(self) -> str:
        """Of the trunk's artifact at this step."""
        return f"{self.id}-{self.step:06d}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one stage; equal runs have equal keys and exist once.

    `steps` is its horizon where its stage has milestones. With a `trunk` it goes on from the
    trunk's state, which is made where it is not stored yet.
    """

    key: str
    stage: str
    function: str
    params: Mapping[str, Json]
    seed: int
    fold: Fold | None
    parent: str | None
    milestone: Milestone | None = None
    steps: int = 0
    trunk: TrunkPoint | None = None
    uses_gpu: bool = True

    @property
    def family(self) -> str:
        """Equal for runs of one trunk: they are executed one after the other, by one process."""
        return self.key if self.trunk is None else self.trunk.id


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """One repetition of a trial: its runs, each the parent of the next; the last is scored."""

    seed_index: int
    fold: Fold | None
    runs: tuple[Run, ...]

    @property
    def scored(self) -> Run:
        return self.runs[-1]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One complete setting, and the point in which it differs from what was carried."""

    name: str
    phase: str
    point: Settings
    settings: Settings
    replicates: tuple[Replicate, ...]
    note: str | None = None
    expect: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        return tuple(run for replicate in self.replicates for run in replicate.runs)

    @property
    def runs_alone(self) -> tuple[Run, ...]:
        """Each of its runs once: what it takes by itself, with nothing else stored."""
        return tuple({run.key: run for run in self.runs}.values())

    @property
    def key(self) -> str:
        """What the trial computes: its runs, whatever its name is."""
        return digest([run.key for run in self.runs])


@dataclass(frozen=True, kw_only=True)
class PhasePlan:
    """The trials of a phase around carried settings, in file order.

    `baseline` is one of the trials where a point equals it, else an extra one that can't win.
    """

    index: int
    name: str
    carried: Settings
    trials: tuple[Trial, ...]
    baseline: Trial | None

    @property
    def all_trials(self) -> tuple[Trial, ...]:
        if self.baseline is None or self.baseline in self.trials:
            return self.trials
        return (*self.trials, self.baseline)

    def trial(self, name: str) -> Trial | None:
        return next((trial for trial in self.all_trials if trial.name == name), None)
