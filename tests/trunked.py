"""A workload whose first stage has milestones, and tells in a file every step that it takes.

`chain` is a hash chain over its steps, so a step that was lost or taken twice shows in the result.
The last `tail` steps of a run depend on its horizon, as those of a decaying rate do.
"""

import hashlib
import json
import os
import signal
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from phasetune import Milestone, Stage, StageContext


class Grow(BaseModel):
    """`fault_step` raises, or kills the process once where `marker` names a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float = 0.5
    steps: int = 5
    tail: int = 1
    shares: bool = True
    fault_step: int = 0
    marker: str = ""

    def milestone(self) -> Milestone:
        branch = self.steps - self.tail if self.shares else None
        why = "" if self.shares else "somebody said so"
        return Milestone(horizon="steps", branch_step=branch, why_alone=why, cost=self.value)


class Judge(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    weight: float = 1.0


class Data(BaseModel):
    """`log` is the file of steps; it is no part of what is computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    log: str = ""

    def fingerprint(self, part: str) -> str:
        return part


STAGES = (
    Stage(
        name="grow",
        params=Grow,
        function="trunked:grow",
        reads=("unlabeled",),
        exports=("chain.txt",),
        milestone=Grow.milestone,
    ),
    Stage(name="judge", params=Judge, function="trunked:judge", reads=("train",)),
)


def grow(ctx: StageContext, params: Grow) -> dict[str, float]:
    chain, step = _start(ctx, params)
    is_trunk = ctx.trunk is not None and ctx.trunk.until is not None
    last = ctx.trunk.until if ctx.trunk is not None and ctx.trunk.until else params.steps
    while step < last:
        step += 1
        _misbehave(params, step)
        _tell(ctx, step)
        end = f"of {params.steps}" if step > params.steps - params.tail else ""
        chain = hashlib.sha256(f"{chain}:{step}:{params.value}:{end}".encode()).hexdigest()
        with tempfile.TemporaryDirectory() as folder:
            _save(Path(folder), chain, step)
            ctx.report({"chain": number(chain)}, step=step, checkpoint=Path(folder))
        if ctx.should_stop():
            return {}
    if is_trunk:
        _save(ctx.output, chain, step)
        return {}
    (ctx.output / "chain.txt").write_text(chain)
    return {"chain": number(chain), "steps_taken": float(step)}


def judge(ctx: StageContext, params: Judge) -> dict[str, float]:
    assert ctx.parent is not None
    chain = (ctx.parent / "chain.txt").read_text()
    return {"score": params.weight * number(chain) / 16**12}


def number(chain: str) -> float:
    return float(int(chain[:12], 16)) if chain else 0.0


def _start(ctx: StageContext, params: Grow) -> tuple[str, int]:
    source = ctx.resumed or (None if ctx.trunk is None else ctx.trunk.begins)
    if source is None:
        return f"{ctx.seed}:{params.value}", 0
    state = json.loads((source / "state.json").read_text())
    return state["chain"], state["step"]


def _save(folder: Path, chain: str, step: int) -> None:
    (folder / "state.json").write_text(json.dumps({"chain": chain, "step": step}))


def _tell(ctx: StageContext, step: int) -> None:
    if ctx.data.log:
        with Path(ctx.data.log).open("a") as file:
            file.write(f"{step}\n")


def _misbehave(params: Grow, step: int) -> None:
    if step != params.fault_step:
        return
    if not params.marker:
        raise ValueError(f"scripted failure at step {step}")
    try:
        Path(params.marker).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
