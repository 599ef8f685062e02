"""The fit loop: epochs, early stopping, best weights, and going on exactly where it was cut.

What is trained is a `Task`; how long, a `Recipe`. All randomness of an epoch comes from streams
named by its number, so a run that goes on from a checkpoint draws what it would have drawn.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from phasetune.errors import StageError
from phasetune.stage.contract import StageContext
from phasetune.stage.seeds import derived_seed
from phasetune.train.precision import Precision

CHECKPOINT_SECONDS = 10.0
_STATE = "state.pt"


class Task(Protocol):
    """What is trained; its rows are shuffled anew for each epoch."""

    @property
    def model(self) -> nn.Module:
        """What is trained; its whole state is what a checkpoint and the best weights keep."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Over the model's parameters."""

    @property
    def num_rows(self) -> int:
        """How many rows an epoch goes over."""

    def begin_epoch(self, epoch: int, /) -> None:
        """Set modes, rates and what is frozen; `epoch` counts from 1."""

    def loss(self, rows: Tensor) -> Tensor:
        """The mean loss of some rows, with a gradient; `rows` are indices, shape [batch]."""

    def validate(self) -> Mapping[str, float]:
        """Metrics of the model as it is; `val_loss` is what early stopping watches."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and in which steps; patience counts epochs after `patience_from`."""

    epochs: int
    batch_size: int
    clip_norm: float
    patience: int | None
    min_delta: float = 0.0
    patience_from: int = 0


@dataclass(kw_only=True)
class Progress:
    """Where a fit stands; after it, what it came to. `best_epoch` 0 is the untrained model."""

    epoch: int = 0
    best_epoch: int = 0
    best_val_loss: float = math.inf
    train_loss: float = math.nan
    val_loss: float = math.nan

    def see(self, val_loss: float, *, min_delta: float) -> bool:
        """Take note of an epoch's validation loss; returns whether it is a new best."""
        self.val_loss = val_loss
        is_best = val_loss < self.best_val_loss - min_delta
        if is_best:
            self.best_epoch, self.best_val_loss = self.epoch, val_loss
        return is_best

    def is_over(self, recipe: Recipe) -> bool:
        """Whether all epochs are done, or the loss has not improved for too long."""
        waited = self.epoch - max(self.best_epoch, recipe.patience_from)
        is_stale = recipe.patience is not None and waited >= recipe.patience
        return self.epoch >= recipe.epochs or is_stale


def fit(task: Task, ctx: StageContext, recipe: Recipe) -> Progress | None:
    """Train a task and leave its best weights in the model.

    Returns:
        What it came to; None where an end was asked for, after a checkpoint was handed over.

    Raises:
        StageError: a loss is not finite.
    """
    device = torch.device(ctx.device)
    precision = Precision(device, ctx.precision)
    best, progress = _start(task, ctx, recipe, precision)
    saved_at = time.monotonic()
    while not progress.is_over(recipe):
        progress.epoch += 1
        torch.manual_seed(derived_seed(ctx.seed, "epoch", progress.epoch))
        task.begin_epoch(progress.epoch)
        progress.train_loss = _train_epoch(task, ctx, recipe, precision, progress.epoch)
        metrics = _validated(task, precision, progress.epoch)
        if progress.see(metrics["val_loss"], min_delta=recipe.min_delta):
            best = _copied(task.model)
        row = {"train_loss": progress.train_loss, **metrics}
        stop = ctx.should_stop()
        if stop or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            _report_with_checkpoint(ctx, task, precision, best, progress, row)
            saved_at = time.monotonic()
        else:
            ctx.report(row, step=progress.epoch)
        if stop:
            return None
    task.model.load_state_dict(best)
    return progress


def _start(
    task: Task, ctx: StageContext, recipe: Recipe, precision: Precision
) -> tuple[dict[str, Tensor], Progress]:
    if ctx.resumed is not None:
        return _restore(ctx.resumed, task, precision)
    progress = Progress()
    if recipe.epochs == 0:
        progress.see(_validated(task, precision, 0)["val_loss"], min_delta=0.0)
    return _copied(task.model), progress


def _train_epoch(
    task: Task, ctx: StageContext, recipe: Recipe, precision: Precision, epoch: int
) -> float:
    """One pass over all rows; returns the mean loss, read from the device once."""
    device = torch.device(ctx.device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for rows in _batches(task.num_rows, recipe.batch_size, ctx.seed, epoch, device):
        task.optimizer.zero_grad(set_to_none=True)
        with precision.autocast():
            loss = task.loss(rows)
        precision.step(loss, task.optimizer, task.model, clip_norm=recipe.clip_norm)
        total += loss.detach() * len(rows)
    return _finite(float(total) / task.num_rows, "the training loss", epoch)


def _batches(
    num_rows: int, size: int, seed: int, epoch: int, device: torch.device
) -> Iterator[Tensor]:
    """All rows once, in an order drawn on the CPU, so that it is the same on every device."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    yield from torch.randperm(num_rows, generator=generator).to(device).split(size)


def _validated(task: Task, precision: Precision, epoch: int) -> Mapping[str, float]:
    task.model.eval()
    with torch.no_grad(), precision.autocast():
        metrics = task.validate()
    _finite(metrics["val_loss"], "the validation loss", epoch)
    return metrics


def _finite(loss: float, what: str, epoch: int) -> float:
    if not math.isfinite(loss):
        way_out = "a lower learning_rate or clip_norm may help" if epoch else "look at the data"
        raise StageError(f"{what} is {loss} in epoch {epoch}; {way_out}")
    return loss


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _report_with_checkpoint(
    ctx: StageContext,
    task: Task,
    precision: Precision,
    best: Mapping[str, Tensor],
    progress: Progress,
    row: Mapping[str, float],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = {
            "model": task.model.state_dict(),
            "best": dict(best),
            "optimizer": task.optimizer.state_dict(),
            "precision": precision.state_dict(),
            "progress": asdict(progress),
        }
        torch.save(state, Path(folder) / _STATE)
        ctx.report(row, step=progress.epoch, checkpoint=Path(folder))


def _restore(folder: Path, task: Task, precision: Precision) -> tuple[dict[str, Tensor], Progress]:
    device = next(task.model.parameters()).device
    state: dict[str, Any] = torch.load(folder / _STATE, map_location=device, weights_only=True)
    task.model.load_state_dict(state["model"])
    task.optimizer.load_state_dict(state["optimizer"])
    precision.load_state_dict(state["precision"])
    return state["best"], Progress(**state["progress"])
