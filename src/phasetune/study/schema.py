"""What a study is, as frozen and closed types: unknown keys are refused.

`RUN_FIELDS`, `DECISION_FIELDS` and `FREE_FIELDS` classify every field of `Study`: the first change
what a run computes and so its key, the second what is decided from the runs, the last neither.
"""

import keyword
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_serializer,
    model_validator,
)

from phasetune.errors import StudyError
from phasetune.study.constraint import Constraint, parse_constraint
from phasetune.study.resources import Resources
from phasetune.study.trackers import Tracking
from phasetune.study.wording import shown, shown_key

RUN_FIELDS = frozenset({"workload", "sources", "seed", "data", "params", "numerics"})
DECISION_FIELDS = frozenset(
    {"replicates", "objective", "constraints", "ties", "if_infeasible", "baseline", "phases"}
)
FREE_FIELDS = frozenset(
    {
        "name",
        "description",
        "import_from",
        "resources_per_trial",
        "max_concurrent_trials",
        "max_failures",
        "stall_timeout_seconds",
        "max_checkpoint_gib",
        "allow_large",
        "final",
        "tracking",
    }
)

MOST_PHASES = 100
FINAL = "final"
STORE = "store"
MLFLOW_ARTIFACTS = "mlartifacts"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")


def is_safe_name(name: str) -> bool:
    """Whether a name can be a folder everywhere: no separators, no leading dot, no `..`."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def _safe_name(name: str) -> str:
    if not is_safe_name(name):
        raise ValueError(
            "must be 1 to 100 ASCII letters, digits or . _ = + - without '..', starting with a "
            f"letter or digit, but is {shown(name)}"
        )
    return name


def _folder_name(name: str) -> str:
    longest = max(len(part.encode(errors="replace")) for part in name.split("/"))
    if "\0" in name or longest > 255 or len(name) > 2000:  # what systems have no name for
        raise ValueError(f"must be a folder, but is {shown(name)}")
    return name


def _module_path(path: str) -> str:
    if len(path) > 200 or not all(map(_is_module_name, path.split("."))):
        raise ValueError(
            "must name a module as an import does, such as my_workload or "
            f"phasetune.workloads.windows, but is {shown(path)}"
        )
    return path


def _is_module_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


Name = Annotated[str, AfterValidator(_safe_name)]
FolderName = Annotated[str, AfterValidator(_folder_name)]
ModulePath = Annotated[str, AfterValidator(_module_path)]
Value = Any


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Numerics(_Closed):
    """What makes results equal bit for bit; part of every key."""

    threads: int = Field(default=1, ge=1, le=1024)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    tf32: bool = False
    deterministic: bool = True
    warn_only: bool = True
    cudnn_benchmark: bool = False


class Replicates(_Closed):
    """How often a trial is repeated: training seeds times outer folds."""

    seeds: int = Field(default=1, ge=1, le=1000)
    folds: int | None = Field(default=None, ge=2, le=1000)


class Objective(_Closed):
    """The metric that trials are compared by."""

    metric: str = Field(min_length=1)
    mode: Literal["max", "min"] = "max"
    on: Literal["validation", "test"] = "validation"


def _readable(text: str) -> str:
    try:
        parse_constraint(text)
    except StudyError as error:
        raise ValueError(str(error)) from error
    return text


Sentence = Annotated[str, AfterValidator(_readable)]
Range = tuple[float, float]


class Point(_Closed):
    """The parameters in which a trial differs from what was carried; a note and expectations.

    In a file a point is one flat mapping: `{finetune.num_heads: 8, note: recommended}`.
    """

    params: dict[str, Value] = Field(default_factory=dict)
    note: str | None = None
    expect: dict[str, Range] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "params" in given:
            return given
        about = {key: given[key] for key in ("note", "expect") if key in given}
        return {"params": {k: v for k, v in given.items() if k not in about}, **about}

    @model_validator(mode="after")
    def _ranges_in_order(self) -> "Point":
        for metric, (low, high) in self.expect.items():
            if not low <= high:
                raise ValueError(
                    f"expect.{shown_key(metric)} must be [low, high], but is [{low}, {high}]"
                )
        return self

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        note = {} if self.note is None else {"note": self.note}
        expect = {"expect": {k: list(v) for k, v in self.expect.items()}} if self.expect else {}
        return {**self.params, **note, **expect}


def _an_axis(values: Any) -> Any:
    if not isinstance(values, list | tuple):
        raise ValueError(f"must be a list of values, but is {shown(values)}")
    return values


Axis = Annotated[tuple[Value, ...], BeforeValidator(_an_axis), Field(min_length=1)]


class Phase(_Closed):
    """One step of a study: a grid (the product of its axes) or a list of points."""

    name: Name
    grid: dict[str, Axis] | None = Field(default=None, min_length=1)
    points: tuple[Point, ...] | None = Field(default=None, min_length=1)
    trial_name: str | None = Field(default=None, min_length=1, max_length=300)

    @model_validator(mode="after")
    def _one_of_both(self) -> "Phase":
        if (self.grid is None) == (self.points is None):
            raise ValueError("must have either a grid or points")
        return self


class Final(_Closed):
    """What happens with the last winner: training on all data, one look at the test data."""

    refit: bool = True
    test: bool = True


class Study(_Closed):
    """What is asked: a workload, its data, base parameters, phases, an objective, constraints."""

    name: Name
    description: str = ""
    workload: ModulePath
    sources: tuple[ModulePath, ...] = ()
    import_from: tuple[FolderName, ...] = ()
    seed: int = Field(default=0, ge=0, lt=2**63)
    data: dict[str, Value] = Field(default_factory=dict)
    params: dict[str, dict[str, Value]] = Field(default_factory=dict)
    numerics: Numerics = Numerics()
    resources_per_trial: Resources = Resources()
    max_concurrent_trials: int | None = Field(default=None, ge=1)
    max_failures: int = Field(default=2, ge=0, le=100)
    stall_timeout_seconds: float | None = Field(default=3600.0, gt=0)
    max_checkpoint_gib: float | None = Field(default=None, gt=0)
    replicates: Replicates = Replicates()
    objective: Objective
    constraints: tuple[Sentence, ...] = ()
    ties: Literal["report", "prefer_first"] = "report"
    if_infeasible: Literal["stop", "least_violation", "keep_carried"] = "stop"
    baseline: dict[str, Value] | None = None
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=MOST_PHASES)
    final: Final = Final()
    tracking: Tracking | None = None
    allow_large: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.name in (STORE, MLFLOW_ARTIFACTS):
            raise ValueError(f"name: must not be {self.name!r}, where studies keep their artifacts")
        names = [phase.name for phase in self.phases]
        if FINAL in names:
            raise ValueError(f"phases: the name {FINAL!r} is taken by what follows the last phase")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"phases: two phases are named {twice[0]!r}; names must differ")
        return self

    @property
    def rules(self) -> tuple[Constraint, ...]:
        """The constraints, read."""
        return tuple(parse_constraint(text) for text in self.constraints)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, but should be known wherever the study's results are shown."""
        if self.objective.on == "validation":
            return ()
        warning = (
            "Winners are chosen on the test data (objective.on: test), so their scores there are "
            "optimistic; use validation to choose."
        )
        return (warning,)

    @property
    def needs_baseline(self) -> bool:
        """Whether the baseline is evaluated even where no point equals it."""
        return self.baseline is not None or any(rule.is_relative for rule in self.rules)
