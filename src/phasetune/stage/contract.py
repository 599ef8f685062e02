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
    """Where a run may be cut: the parameter that is its horizon, and the step where it branches."""

    horizon: str
    branch_step: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a workload.

    `params` is the type of its parameters, `function` its import path (`"module:function"`),
    `reads` the parts of the data it depends on. `exports` names files that it always leaves and
    that people look for by a trial's name: `trials/<trial>/<trial>_<file>`.
    """

    name: str
    params: type[BaseModel]
    function: str
    reads: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    milestone: Callable[[Any], Milestone | None] | None = None


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
    deterministic: bool
    parent: Path | None
    """Folder with the files of the stage before."""
    output: Path
    """Folder whose files become the artifact."""
    resumed: Path | None
    """Newest verified checkpoint of this very run, after an interruption."""

    def report(
        self, metrics: Mapping[str, float], *, step: int, checkpoint: Path | None = None
    ) -> None:
        """Report flat metrics of a step; a checkpoint is a folder to go on from."""

    def should_stop(self) -> bool:
        """Whether the driver asks for a checkpoint and an end; a stage that saw True returns."""


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
    before it runs on a device; and `load(path) -> Predictor`. Its `Data` may have
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
