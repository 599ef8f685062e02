"""What a run asks of a machine; part of no key."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from phasetune.study.wording import shown, shown_key

AUTO: Literal["auto"] = "auto"
SMALLEST_PART = 0.01
_MOST_GPUS = 1024
_MOST_CPUS = 1 << 20
_PARTS = 10_000  # Ray counts in these
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"({_WORD}/)?{_WORD}")
_VALUE = re.compile(_WORD)


def rounded_down(share: float) -> float:
    """A share as Ray counts it, so that n shares of 1/n fit on one."""
    return math.floor(share * _PARTS + 1e-6) / _PARTS


def _number_of_gpus(value: Any) -> Any:
    if value is None or value == AUTO:
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (SMALLEST_PART <= value <= 1 or value in range(_MOST_GPUS + 1)):
        return float(value)
    raise ValueError(
        f"must be auto, a part of a GPU from {SMALLEST_PART} to 1, or a whole number, but is "
        f"{shown(value)}"
    )


def _accelerator(name: str) -> str:
    if not _VALUE.fullmatch(name):
        raise ValueError(f"must be a type of GPU by Ray's name, such as A100, but is {shown(name)}")
    return name


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise ValueError(
                "must be of letters, digits and . _ - such as {zone: b}, but one is "
                f"{shown_key(key)}: {shown(value)}"
            )
    return labels


_Cpus = Annotated[
    float,
    Field(ge=SMALLEST_PART, le=_MOST_CPUS, allow_inf_nan=False),
    AfterValidator(rounded_down),
]


class Resources(BaseModel):
    """What a run asks of Ray.

    `gpu` is a number of GPUs, a part of one, or `auto`; `accelerator` a type of GPU by Ray's name
    (`ray.util.accelerators`); `labels` are those that a node must have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cpu: _Cpus | None = None
    gpu: Annotated[float | Literal["auto"] | None, BeforeValidator(_number_of_gpus)] = None
    accelerator: Annotated[str, AfterValidator(_accelerator)] | None = None
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Resources":
        if self.accelerator is not None and self.gpu == 0:
            raise ValueError(f"accelerator: {self.accelerator!r} is asked for, but gpu is 0")
        return self
