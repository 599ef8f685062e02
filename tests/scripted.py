"""A workload that follows a script: what may happen to a run, on purpose.

Each stage's metric `chain` is a hash chain over its steps, its seed and its parent's chain, so a
step that was lost or done twice shows in the result. Where the environment names a file in
`SCRIPTED_LOG`, each step leaves a line in it, `<key of the run> <step>`; it takes `SCRIPTED_PAUSE`
seconds longer.
"""

import hashlib
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from phasetune import Stage, StageContext

LOG = "SCRIPTED_LOG"
PAUSE = "SCRIPTED_PAUSE"

Fault = Literal["none", "raise", "nan", "text", "missing", "exit", "kill", "hang", "inexact"]


class Script(BaseModel):
    """What a stage does: `fault` happens at `fault_step`, once only where `marker` names a file.

    Each checkpoint and the artifact have `written_mb` of ballast; at `fault_step` `allocated_mb` of
    memory are taken and held.
    """

    model_config = ConfigDict(extra="forbid")
    value: float = 0.5
    other: float = 1.0
    steps: int = 3
    seconds: float = 0.0
    fault: Fault = "none"
    fault_step: int = 1
    marker: str = ""
    noise: float = 0.0
    written_mb: float = 0.0
    allocated_mb: int = 0


class Data(BaseModel):
    """Nothing to load; `content` stands for what is in it, `missing` for a part that is gone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    content: str = "v1"
    missing: str = ""
    problem: str = ""

    def fingerprint(self, part: str) -> str:
        if part == self.missing:
            raise FileNotFoundError(f"no such file: {part}.npz")
        return f"{part}:{self.content}"

    def check(self, *, folds: int) -> list[str]:
        return [f"{self.problem} (with {folds} folds)"] if self.problem else []


STAGES = (
    Stage(name="prepare", params=Script, function="scripted:prepare", reads=("unlabeled",)),
    Stage(name="train", params=Script, function="scripted:train", reads=("train",)),
    Stage(name="test", params=Script, function="scripted:test", reads=("test",)),
)


def prepare(ctx: StageContext, params: Script) -> dict[str, Any]:
    return follow(ctx, params)


def train(ctx: StageContext, params: Script) -> dict[str, Any]:
    return follow(ctx, params)


def test(ctx: StageContext, params: Script) -> dict[str, Any]:
    return follow(ctx, params)


def follow(ctx: StageContext, params: Script) -> dict[str, Any]:
    chain, first = _start(ctx)
    held: list[bytearray] = []
    with tempfile.TemporaryDirectory() as scratch:
        for step in range(first, params.steps + 1):
            if ctx.should_stop():
                return {}
            time.sleep(params.seconds + float(os.environ.get(PAUSE, "0")))
            _misbehave(params, step)
            if step == params.fault_step:
                held.append(bytearray(os.urandom(1 << 20) * params.allocated_mb))
            if params.fault == "inexact" and step == params.fault_step:
                ctx.note("the moon was full", is_exact=False)
            chain = hashlib.sha256(f"{chain}:{step}:{params.value}".encode()).hexdigest()
            state = Path(scratch) / "state.json"
            state.write_text(json.dumps({"chain": chain, "step": step}))
            _write_ballast(Path(scratch), params)
            number = int(chain[:12], 16)
            _tell(ctx, step)
            ctx.report({"chain": float(number)}, step=step, checkpoint=Path(scratch))
    (ctx.output / "chain.txt").write_text(chain)
    _write_ballast(ctx.output, params)
    return _metrics(ctx, params, chain)


def _write_ballast(folder: Path, params: Script) -> None:
    if params.written_mb:
        (folder / "ballast.bin").write_bytes(bytes(int(params.written_mb * (1 << 20))))


def _tell(ctx: StageContext, step: int) -> None:
    if LOG in os.environ:
        key = ctx.output.parent.name.removeprefix(".draft-").partition("-")[0]
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{key} {step}\n")


def _start(ctx: StageContext) -> tuple[str, int]:
    if ctx.resumed is not None:
        state = json.loads((ctx.resumed / "state.json").read_text())
        return state["chain"], state["step"] + 1
    parent = "" if ctx.parent is None else (ctx.parent / "chain.txt").read_text()
    fold = "" if ctx.fold is None else f"{ctx.fold.index}/{ctx.fold.of}"
    return f"{ctx.seed}:{fold}:{parent}", 1


def _metrics(ctx: StageContext, params: Script, chain: str) -> dict[str, Any]:
    jitter = params.noise * (int(hashlib.sha256(chain.encode()).hexdigest()[:4], 16) / 65536)
    metrics: dict[str, Any] = {
        "score": params.value + jitter,
        "other": params.other,
        "chain": float(int(chain[:12], 16)),
        "device": float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1),
        "ended": time.time() if params.seconds else 0.0,
    }
    if params.fault in ("nan", "text"):
        metrics["score"] = {"nan": float("nan"), "text": "high"}[params.fault]
    if params.fault == "missing":
        del metrics["score"]
    return metrics


def _misbehave(params: Script, step: int) -> None:
    if step != params.fault_step or _happened(params.marker):
        return
    if params.fault == "raise":
        raise ValueError(f"scripted failure at step {step}")
    if params.fault == "exit":
        raise SystemExit(3)
    if params.fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if params.fault == "hang":
        time.sleep(3600)


def _happened(marker: str) -> bool:
    if not marker:
        return False
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return True
    return False
