"""A workload whose runs keep three checkpoints of 10 KiB each, for three reasons."""

import json
from typing import Any

from pydantic import BaseModel

from phasetune import Stage, StageContext

SIZE = 10 * 1024
REASONS = ("best", "milestone", "last")


class Params(BaseModel):
    """What a run scores."""

    value: float = 0.5


class Data(BaseModel):
    """Nothing to load."""

    def fingerprint(self, part: str) -> str:
        return part


STAGES = (Stage(name="fit", params=Params, function="keeps:fit", reads=("train",)),)


def fit(ctx: StageContext, params: Params) -> dict[str, Any]:
    for epoch, reason in enumerate(REASONS, start=1):
        folder = ctx.checkpoints / f"epoch{epoch:03d}"
        folder.mkdir()
        (folder / "state.pt").write_bytes(bytes(SIZE))
        meta = {"schema": 1, "epoch": epoch, "metrics": {}, "size": SIZE, "kept_as": [reason]}
        (folder / "meta.json").write_text(json.dumps(meta))
        ctx.report({"loss": 1.0}, step=epoch)
    return {"score": params.value}
