"""A workload of the LSTM study's shape whose stages sleep: what is left is who waits for whom.

An epoch of pre-training sleeps for `SECONDS_PER_EPOCH`, a fine-tuning for `SECONDS_PER_FOLD`: the
full-size study's 33 minutes for 50 epochs and 2.5 minutes for five folds, a hundred times faster.
Each step reports when it ended, in seconds since 1970, and how long it slept.
"""

import json
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel

from phasetune import Milestone, Stage, StageContext

SPEED = 100
SECONDS_PER_EPOCH = 33 * 60 / 50 / SPEED
SECONDS_PER_FOLD = 2.5 * 60 / 5 / SPEED
STATE = "state.json"


class Pretrain(BaseModel):
    hidden_size: int = 128
    epochs: int = 50

    @property
    def branch_step(self) -> int:
        """Where the rate begins to fall, as in a warmup-stable-decay schedule."""
        return self.epochs - self.epochs // 10

    def milestone(self) -> Milestone:
        return Milestone(horizon="epochs", branch_step=self.branch_step)


class Finetune(BaseModel):
    num_heads: int = 8
    time_warp_sigma: float = 0.12


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part


STAGES = (
    Stage(
        name="pretrain",
        params=Pretrain,
        function="sleeping:pretrain",
        reads=("unlabeled",),
        milestone=Pretrain.milestone,
    ),
    Stage(name="finetune", params=Finetune, function="sleeping:finetune", reads=("train",)),
)


def pretrain(ctx: StageContext, params: Pretrain) -> dict[str, float]:
    epoch = _epochs_before(ctx)
    until = None if ctx.trunk is None else ctx.trunk.until
    last = params.epochs if until is None else until
    while epoch < last and not ctx.should_stop():
        epoch += 1
        slept = _sleep(SECONDS_PER_EPOCH)
        with tempfile.TemporaryDirectory() as folder:
            _save(Path(folder), epoch, params)
            ctx.report(slept, step=epoch, checkpoint=Path(folder))
    _save(ctx.output, epoch, params)
    return {"epochs": float(epoch)}


def finetune(ctx: StageContext, params: Finetune) -> dict[str, float]:
    ctx.report(_sleep(SECONDS_PER_FOLD), step=1)
    assert ctx.parent is not None
    made = json.loads((ctx.parent / STATE).read_text())
    score = made["epochs"] / 100 + made["hidden_size"] / 1000 + params.num_heads / 1e4
    score -= abs(params.time_warp_sigma - 0.12)
    return {"score": score}


def _sleep(seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    return {"ended": time.time(), "slept": seconds}


def _epochs_before(ctx: StageContext) -> int:
    source = ctx.resumed or (None if ctx.trunk is None else ctx.trunk.begins)
    return 0 if source is None else int(json.loads((source / STATE).read_text())["epochs"])


def _save(folder: Path, epochs: int, params: Pretrain) -> None:
    state = {"epochs": epochs, "hidden_size": params.hidden_size}
    (folder / STATE).write_text(json.dumps(state))
