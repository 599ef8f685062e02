"""One optimizer step: its batches forward and backward, in parts where memory is short, a guard
against what is not finite, and the step.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from phasetune.errors import StageError
from phasetune.stage.contract import StageContext
from phasetune.train.optimizers import set_rates
from phasetune.train.state import TrainingState
from phasetune.train.task import Batch


def train_step(state: TrainingState, ctx: StageContext, group: Sequence[Batch]) -> None:
    """Train on the batches of one optimizer step.

    Raises:
        StageError: a loss or gradient is not finite, or the device has no memory for a batch.
    """
    rate = state.schedule.factor(state.progress.step)
    set_rates(state.task.optimizer, rate)
    loss, rows = _backward(state, ctx, group)
    optimizer, precision = state.task.optimizer, state.precision
    norm = precision.gradient_norm(optimizer)
    _guard(state, loss, norm)
    try:
        precision.step(optimizer, norm, clip_norm=state.training.clip_norm)
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"out of memory on {state.device.type} in the step of optimizer: "
            f"{state.training.optimizer}, which keeps up to twice the weights; use a smaller "
            "model, or optimizer: sgd with momentum 0"
        ) from error
    sums = state.sums
    sums.loss += loss
    sums.rows += rows
    if precision.scales_gradients:  # then some steps are skipped, to be met by a smaller scale
        is_skipped = torch.isfinite(norm).logical_not()
        sums.skipped += is_skipped
        norm = norm.masked_fill(is_skipped, 0.0)
    sums.norm += norm
    sums.steps += 1
    state.progress.step += 1
    state.log_step(loss / rows, norm)


def grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches of each optimizer step."""
    while group := list(islice(batches, size)):
        yield group


def _backward(
    state: TrainingState, ctx: StageContext, group: Sequence[Batch]
) -> tuple[Tensor, int]:
    """Gradients of the mean loss over all rows of the group; returns its sum over rows."""
    rows = sum(len(batch[0]) for batch in group)
    while True:
        state.task.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.float64, device=state.device)
        try:
            for batch in group:
                for part in _parts(batch, state.parts):
                    total += _backward_part(state, part, rows)
        except torch.OutOfMemoryError as error:
            _make_room(state)
            _use_smaller_parts(state, ctx, group, error)
        else:
            return total, rows


def _backward_part(state: TrainingState, part: Batch, rows: int) -> Tensor:
    with state.precision.autocast():
        loss = state.task.loss(part)
    own = len(part[0])
    state.precision.backward(loss if own == rows else loss * (own / rows))
    return loss.detach() * own


def _parts(batch: Batch, count: int) -> list[Batch]:
    if count == 1:
        return [batch]
    size = math.ceil(len(batch[0]) / count)
    return list(zip(*(tensor.split(size) for tensor in batch), strict=True))


def _make_room(state: TrainingState) -> None:
    state.task.optimizer.zero_grad(set_to_none=True)
    if state.device.type == "cuda":
        torch.cuda.empty_cache()


def _use_smaller_parts(
    state: TrainingState, ctx: StageContext, group: Sequence[Batch], error: torch.OutOfMemoryError
) -> None:
    """Halve the parts of a batch and double how many are accumulated; or tell what would fit."""
    largest = max(len(batch[0]) for batch in group)
    size = math.ceil(largest / state.parts)
    if not state.task.is_splittable or size < 2:
        raise StageError(_what_would_fit(state, group[0], size)) from error
    state.parts *= 2
    ctx.note(
        f"out of memory on {state.device.type} with {size} rows at once in epoch "
        f"{state.progress.epoch}; went on with {math.ceil(largest / state.parts)}, whose gradients "
        "are added up",
        is_exact=False,
    )


def _what_would_fit(state: TrainingState, batch: Batch, size: int) -> str:
    tried = size
    while tried > 1:
        tried //= 2
        try:
            _backward_part(state, tuple(tensor[:tried] for tensor in batch), tried)
        except torch.OutOfMemoryError:
            continue
        finally:
            _make_room(state)
        return (
            f"out of memory on {state.device.type} with batch_size {size}; {tried} would fit, or "
            f"batch_size {tried} with accumulate "
            f"{-(-size // tried) * state.training.accumulate} for as many rows per step"
        )
    return f"out of memory on {state.device.type} even with one row; use a smaller model"


def _guard(state: TrainingState, loss: Tensor, norm: Tensor) -> None:
    """Keep a step from being made of what is not finite.

    On a CPU that is looked at here. On a GPU looking would wait for it at every step, so the
    optimizer is told on the device to leave the weights alone from the first such step on, and
    the end of the epoch looks.
    """
    watched = loss if state.precision.scales_gradients else loss + norm
    if state.device.type == "cpu":
        if not math.isfinite(float(watched)):
            raise not_finite(state, state.sums.steps)
        return
    sums = state.sums
    is_first = torch.isfinite(watched).logical_not() & (sums.first_bad < 0)
    sums.first_bad = torch.where(is_first, sums.steps, sums.first_bad)
    state.precision.skip_if(state.task.optimizer, sums.first_bad >= 0)


def not_finite(state: TrainingState, step: int) -> StageError:
    """What to say of a step of this epoch, from 0, whose loss or gradient is not finite."""
    first = step * state.training.accumulate + 1
    last = first + state.training.accumulate - 1
    batch = f"batch {first}" if first == last else f"batches {first}-{last}"
    return StageError(
        f"the loss or its gradient is not finite in epoch {state.progress.epoch}, {batch} (rows of "
        f"{state.training.batch_size}); nothing was changed by it; a lower learning_rate or "
        "clip_norm may help"
    )
