"""A workload whose parameters are of every kind, and whose metrics have names of columns."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict

from phasetune import Stage, StageContext


class Look(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = 3
    is_fast: bool = True
    layers: tuple[int, ...] = (8, 4)
    password: str = "not-to-be-shown"  # noqa: S105 - to be masked
    rate: float = math.inf
    share: float | str = "sqrt"


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part


STAGES = (Stage(name="look", params=Look, function="stages_of_frames:look", reads=("train",)),)


def look(ctx: StageContext, params: Look) -> dict[str, Any]:
    return {"found": 1.0, "note": 1.0, "seconds": math.nan}
