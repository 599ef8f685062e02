"""What the fit loop costs: an epoch through `fit`, against the leanest loop of the same model.

The lean loop is written by hand: tensors on the device, a shuffled order, and per step a pick of
rows, the masks, forward, backward, clipping and the fused optimizer; nothing else. `fit` guards
against what is not finite, sums up losses and norms, reports, keeps the best weights. Neither side
validates. Both begin with equal weights and must end with equal ones. On a CPU by its own time, on
a GPU, where there is one, by the clock.

    python benchmarks/fit_epoch.py [PAIRS]
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import nn

from measuring import (
    computed,
    in_turn,
    milliseconds,
    ratios,
    timed,
    verdict,
)
from phasetune import Fold, StageContext, Trunk
from phasetune.stage.seeds import derived_seed
from phasetune.train.fit import fit
from phasetune.workloads.windows import Data, Pretrain
from phasetune.workloads.windows.masking import drawn_mask
from phasetune.workloads.windows.pretrain import (
    Autoencoder,
    Reconstruction,
    lack_of_spread,
    masked_error,
)

SIZES = ((16, 64), (64, 128))  # hidden size, batch
NUM_WINDOWS = 2000
GOAL = 0.97


@dataclass(kw_only=True)
class Context:
    """A stage's context without a study; nobody listens."""

    output: Path
    checkpoints: Path
    device: str
    data: Data = field(default_factory=lambda: Data(source="synthetic", unlabeled=NUM_WINDOWS))
    seed: int = 1
    fold: Fold | None = None
    threads: int = 1
    precision: str = "fp32"
    tf32: bool = False
    deterministic: bool = True
    warn_only: bool = True
    cudnn_benchmark: bool = False
    parent: Path | None = None
    resumed: Path | None = None
    trunk: Trunk | None = None

    def report(
        self, metrics: Mapping[str, float], *, step: int, checkpoint: Path | None = None
    ) -> None:
        """Nobody listens."""

    def should_stop(self) -> bool:
        return False

    def note(self, message: str, *, is_exact: bool = True) -> None:
        """Nobody listens."""


class Unvalidated(Reconstruction):
    """Pre-training that takes each epoch's weights without looking at them."""

    def validate(self) -> Mapping[str, float]:
        return {"val_loss": 0.0}


def context(folder: Path, device: str) -> StageContext:
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    return cast(StageContext, Context(output=folder, checkpoints=checkpoints, device=device))


def new_task(ctx: StageContext, params: Pretrain) -> Unvalidated:
    torch.manual_seed(0)
    return Unvalidated(ctx, params)


def our_epoch(ctx: StageContext, params: Pretrain, task: Unvalidated) -> Callable[[], object]:
    return lambda: fit(task, ctx, params)


def lean_epoch(ctx: StageContext, params: Pretrain, task: Unvalidated) -> Callable[[], object]:
    model, optimizer = task.model, task.optimizer
    windows = torch.cat([rows for (rows,) in task.batches.epoch(1, batch_size=100, seed=ctx.seed)])
    windows = windows[torch.argsort(_order(ctx, len(windows), windows.device))].contiguous()
    parameters = [one for group in optimizer.param_groups for one in group["params"]]

    def epoch() -> None:
        torch.manual_seed(derived_seed(ctx.seed, "epoch", 1))
        model.train()
        for rows in _order(ctx, len(windows), windows.device).split(params.batch_size):
            batch = windows.index_select(0, rows)
            optimizer.zero_grad(set_to_none=True)
            _loss(params, model, batch).backward()
            nn.utils.clip_grad_norm_(parameters, params.clip_norm or 1.0)
            optimizer.step()

    return epoch


def _order(ctx: StageContext, count: int, device: torch.device) -> torch.Tensor:
    generator = torch.Generator(device).manual_seed(derived_seed(ctx.seed, "order", 1))
    return torch.randperm(count, generator=generator, device=device)


def _loss(params: Pretrain, model: Autoencoder, batch: torch.Tensor) -> torch.Tensor:
    mask = drawn_mask(params, len(batch), batch.shape[1], batch.device)
    filled, latent = model(batch, mask)
    return masked_error(filled, batch, mask) + params.spread_weight * lack_of_spread(latent)


def compare(hidden: int, batch: int, device: str, pairs: int, folder: Path) -> str:
    params = Pretrain(hidden_size=hidden, batch_size=batch, epochs=1)
    ctx = context(folder, device)
    ours, lean = new_task(ctx, params), new_task(ctx, params)
    epochs = {"lean": lean_epoch(ctx, params, lean), "ours": our_epoch(ctx, params, ours)}
    clock = timed if device == "cuda" else computed
    sides = {name: lambda epoch=epoch: clock(epoch) for name, epoch in epochs.items()}
    in_turn(sides, pairs=1)  # the first epoch of each warms up
    found = in_turn(sides, pairs=pairs)
    weights = lean.model.state_dict()
    for name, value in ours.model.state_dict().items():
        assert torch.equal(value, weights[name]), f"{name} differs"
    shown = ", ".join(f"{name} {milliseconds(times)}" for name, times in found.items())
    result = verdict(ratios(found["lean"], found["ours"]), goal=GOAL)
    return f"{device}, hidden {hidden}, batch {batch}, an epoch: {shown}; {result}; weights equal"


def main(pairs: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            for hidden, batch in SIZES:
                print(compare(hidden, batch, device, pairs, Path(folder)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
