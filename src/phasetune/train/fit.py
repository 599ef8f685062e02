"""The fit loop: epochs, early stopping, best weights, and going on exactly where it was cut.

What is trained is a `Task`; how, a stage's `Training` parameters. All randomness of an epoch comes
from streams named by its number, so a run that goes on from a checkpoint, or branches off a trunk,
draws what it would have drawn. Policies are elsewhere: stopping in `progress`, rates in
`schedules`, memory and what is not finite in `step`, checkpoints in `saving`.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from phasetune.errors import StageError
from phasetune.stage.contract import StageContext
from phasetune.stage.seeds import derived_seed
from phasetune.train.generators import restore_generators, seed_generators
from phasetune.train.progress import Progress
from phasetune.train.saving import Saver
from phasetune.train.settings import Training
from phasetune.train.state import EpochSums, TrainingState, copied
from phasetune.train.step import grouped, not_finite, train_step
from phasetune.train.task import Task


def fit(
    task: Task, ctx: StageContext, training: Training, *, patience_from: int = 0
) -> Progress | None:
    """Train a task and leave its best weights in the model.

    Patience counts epochs after `patience_from`.

    Returns:
        What it came to; None where the stage is to return at once, because an end was asked for
        and a checkpoint handed over, or because the trunk it was called for is in the output.

    Raises:
        StageError: a loss is not finite, memory is too short, or the model lacks what is asked.
    """
    _refuse_nothing(task, training)
    _enable_checkpointing(task, training)
    state = TrainingState(task, ctx, training)
    saver = Saver(state, ctx)
    generators = saver.restore()
    if training.epochs == 0:
        state.progress.see(_validated(state), training)
    while not _is_at_its_end(state, ctx, patience_from):
        _begin_epoch(state, ctx, generators)
        generators = None
        if not _train_epoch(state, ctx, saver):
            return None
        row = _end_epoch(state)
        stop = ctx.should_stop()
        saver.after_epoch(row, stop=stop)
        if stop:
            return None
    return saver.finish()


def _is_at_its_end(state: TrainingState, ctx: StageContext, patience_from: int) -> bool:
    is_cut = ctx.trunk is not None and ctx.trunk.until == state.progress.epoch
    is_over = state.progress.is_over(state.training, patience_from=patience_from)
    return state.sums.steps == 0 and (is_cut or is_over)


def _begin_epoch(
    state: TrainingState, ctx: StageContext, generators: dict[str, Any] | None
) -> None:
    """Begin the next epoch, or anew the one that was cut: then its generators are put back."""
    if generators is None:
        state.progress.epoch += 1
    seed_generators(derived_seed(ctx.seed, "epoch", state.progress.epoch))
    state.task.begin_epoch(state.progress.epoch)
    if generators is not None:
        restore_generators(generators)


def _train_epoch(state: TrainingState, ctx: StageContext, saver: Saver) -> bool:
    """Go over all rows, from where the epoch was cut; False where an end was asked for."""
    training, progress = state.training, state.progress
    batches = state.task.batches.epoch(
        progress.epoch,
        batch_size=training.batch_size,
        seed=ctx.seed,
        skip=state.sums.steps * training.accumulate,
    )
    for group in grouped(batches, training.accumulate):
        train_step(state, ctx, group)
        if _is_out_of_time(state, ctx):
            break
        if state.sums.steps < state.steps_per_epoch and saver.is_due():
            saver.inside_epoch()
            if ctx.should_stop():
                return False
    return True


def _is_out_of_time(state: TrainingState, ctx: StageContext) -> bool:
    limit, progress = state.training.time_limit_minutes, state.progress
    state.tick()
    if limit is None or progress.seconds < 60.0 * limit:
        return False
    progress.is_out_of_time = True
    ctx.note(
        f"ended in epoch {progress.epoch} of {state.training.epochs} after time_limit_minutes "
        f"{limit:g}",
        is_exact=False,
    )
    return True


def _end_epoch(state: TrainingState) -> dict[str, float]:
    """Read what the epoch summed up, validate where it is time, and keep the weights if best."""
    sums, progress, training = state.sums, state.progress, state.training
    if int(sums.first_bad) >= 0:
        raise not_finite(state, int(sums.first_bad))
    progress.train_loss = _finite(float(sums.loss) / sums.rows, "the training loss", state)
    row = {
        "train_loss": progress.train_loss,
        "gradient_norm": float(sums.norm) / max(1, sums.steps - int(sums.skipped)),
        "learning_rate": float(state.task.optimizer.param_groups[-1]["lr"]),
    }
    state.sums = EpochSums.empty(state.device)
    is_last = progress.epoch == training.epochs or progress.is_out_of_time
    if is_last or progress.epoch % training.validate_every_n_epochs == 0:
        metrics = _validated(state)
        if progress.see(metrics, training):
            state.best = copied(state.task.model)
        state.schedule.see(metrics[training.watch])
        row |= metrics
    return row


def _validated(state: TrainingState) -> Mapping[str, float]:
    state.task.model.eval()
    try:
        with torch.no_grad(), state.precision.autocast():
            metrics = state.task.validate()
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"out of memory on {state.device.type} while validating with batch_size "
            f"{state.training.batch_size}; a smaller one may fit, with accumulate for as many rows "
            "per step"
        ) from error
    _finite(metrics["val_loss"], "the validation loss", state)
    if state.training.watch not in metrics:
        raise StageError(
            f"watch must be one of {', '.join(sorted(metrics))}, but is {state.training.watch!r}"
        )
    return metrics


def _finite(loss: float, what: str, state: TrainingState) -> float:
    if not math.isfinite(loss):
        epoch = state.progress.epoch
        way_out = "a lower learning_rate or clip_norm may help" if epoch else "look at the data"
        raise StageError(f"{what} is {loss} in epoch {epoch}; {way_out}")
    return loss


def _refuse_nothing(task: Task, training: Training) -> None:
    if training.epochs and task.batches.num_rows == 0:
        raise StageError("there are no rows to train on; give it data, or epochs 0")


def _enable_checkpointing(task: Task, training: Training) -> None:
    if not training.gradient_checkpointing:
        return
    enable = getattr(task.model, "gradient_checkpointing_enable", None)
    if enable is None:
        raise StageError(
            f"gradient_checkpointing: {type(task.model).__name__} does not support it; leave it "
            "out, or use a smaller batch_size with accumulate"
        )
    enable()
