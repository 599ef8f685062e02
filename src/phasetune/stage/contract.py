"""The contract between phasetune and a workload.

A workload is a module with `STAGES` and `Data`. Its stages form a chain: each reads the artifact
of the one before. A stage is a function `(ctx, params) -> metrics`, deterministic in its
parameters, the data it reads, its seed, its fold and its parent's artifact.

Two names of data parts have a meaning: a stage that reads `LABELLED_PART`, and each after it,
is repeated per replicate and has a part held out; a stage that reads `TEST_PART` is planned by
`final` alone (or where the study says `objective.on: test`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

LABELLED_PART = "train"
TEST_PART = "test"


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """Where a run may branch off a longer one of otherwise equal parameters.

    `horizon` names the parameter that says how many steps the run has in all, `branch_step` the
    step up to which it does not depend on that; None where it does from the start, and `why_alone`
    says why. `cost` is that of one step, in any unit that is the same for all runs of the stage.
    """

    horizon: str
    branch_step: int | None
    why_alone: str = ""
    cost: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """What runs that differ in their horizon alone have in common, up to a step.

    `begins` holds the files of a stored trunk to go on from; None: there is none. With `until` the
    stage trains up to that step, leaves the whole state of training in its output and returns
    nothing; without, it goes on from the stored state to its own horizon.
    """

    begins: Path | None
    until: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a workload.

    `params` is the type of its parameters, `function` its import path (`"module:function"`),
    `reads` the parts of the data it depends on. `exports` names files that it always leaves and
    that people look for by a trial's name: `trials/<trial>/<trial>_<file>`. With `uses_gpu=False`
    it is computed on CPUs, whatever the study asks for, and no GPU is kept waiting for it.
    """

    name: str
    params: type[BaseModel]
    function: str
    reads: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    milestone: Callable[[Any], Milestone | None] | None = None
    uses_gpu: bool = True


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The outer part `index` of `of` to hold out; `seed` shuffles the rows before they are cut.

    Without cross-validation it is the first of five: one stratified 20% hold-out, and the same
    run as the first fold of a five-fold study.
    """

    index: int
    of: int
    seed: int


class StageContext(Protocol):
    """What a stage is given besides its parameters."""

    data: Any
    """The study's `data:` block as the workload's `Data`; one object per worker process."""
    seed: int
    """In [0, 2**32). From study seed, stage and replicate; never from parameters or order."""
    fold: Fold | None
    """The outer part to hold out and to be scored on; None when refitting."""
    device: str
    """`"cpu"` or `"cuda"`."""
    threads: int
    precision: str
    """`"fp32"`, `"bf16"` or `"fp16"`: what `numerics.precision` means on this device."""
    tf32: bool
    """Whether a GPU may round products of fp32 to TF32."""
    deterministic: bool
    warn_only: bool
    """Under `deterministic`, whether an operation that has no such way warns instead of failing."""
    cudnn_benchmark: bool
    parent: Path | None
    """Folder with the files of the stage before."""
    output: Path
    """Folder whose files become the artifact."""
    checkpoints: Path
    """Folder for checkpoints that are kept beside the artifact, one folder each. They are no part
    of it: retention may remove them."""
    resumed: Path | None
    """Newest verified checkpoint of this very run, after an interruption."""
    trunk: Trunk | None
    """Of a stage with milestones: where this call begins and ends; None: all in one."""

    def report(
        self, metrics: Mapping[str, float], *, step: int, checkpoint: Path | None = None
    ) -> None:
        """Report flat metrics of a step; a checkpoint is a folder to go on from."""

    def should_stop(self) -> bool:
        """Whether the driver asks for a checkpoint and an end; a stage that saw True returns."""

    def note(self, message: str, *, is_exact: bool = True) -> None:
        """Put a sentence into the run's record; `is_exact=False` where its bits depend on more
        than its key, such as on the clock or on how much memory was free."""


class Predictor(Protocol):
    """A final model."""

    def predict(self, inputs: Any) -> Any:
        """Labels, shape [n]."""

    def predict_proba(self, inputs: Any) -> Any:
        """Probabilities, shape [n, classes]."""


class Data(Protocol):
    """What the type of a `data:` block adds to pydantic's BaseModel."""

    def fingerprint(self, part: str) -> str:
        """Digest of a part's content; raises OSError where the data is missing. No torch."""


@runtime_checkable
class Workload(Protocol):
    """A module; only `STAGES` and `Data` are required.

    It may have `check(params, data) -> Iterable[str]`: rules across stages, in one sentence each;
    `advise(params, data, *, device) -> Iterable[str]`: what is allowed, but should be known
    before it runs on a device; `load(path) -> Predictor`; and, beside `load`,
    `example(data) -> inputs`: a few inputs such as `predict` takes, from which a tracker knows what
    the final model wants and gives (the inputs themselves are not kept). Its `Data` may have
    `check(*, folds: int) -> Iterable[str]`: what is wrong with the content, asked before anything
    is trained.
    """

    STAGES: tuple[Stage, ...]
    Data: type[BaseModel]


CheckParameters = Callable[[Mapping[str, Any], Any], Iterable[str]]


class Advise(Protocol):
    """A workload's `advise`."""

    def __call__(self, params: Mapping[str, Any], data: Any, *, device: str) -> Iterable[str]:
        """Sentences about the parameters of all stages, by stage."""


StageFunction = Callable[[StageContext, Any], Mapping[str, float]]
