"""One optimizer step: accumulation, batches cut for want of memory, and what is not finite."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fit_tasks import training
from phasetune.errors import StageError
from phasetune.train import step as module
from phasetune.train.batches import Batches, Tensors
from phasetune.train.fit import fit
from phasetune.train.optimizers import make_optimizer, parameter_groups
from phasetune.train.settings import Training
from phasetune.train.state import TrainingState
from phasetune.train.step import grouped
from phasetune.train.task import Batch
from stage_context import Context

NUM_ROWS = 22
ROOM = r"out of memory on cpu"


class Line:
    """A line through points; its device has memory for so many rows at once.

    From step `bad_step` on, from 0, the loss is finite and its gradient is not.
    """

    def __init__(
        self,
        asked: Training,
        *,
        room: int = 10**6,
        is_splittable: bool = True,
        bad_step: int | None = None,
    ) -> None:
        draw = torch.Generator().manual_seed(5)
        points = torch.randn(NUM_ROWS, 3, generator=draw)
        self.is_splittable = is_splittable
        self.model: nn.Module = nn.Linear(3, 1)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.zero_()
        groups = parameter_groups([(self.model, asked.learning_rate)], weight_decay=0.0)
        self.optimizer: torch.optim.Optimizer = make_optimizer(
            groups, asked, device=torch.device("cpu")
        )
        self.batches: Batches = Tensors(points, points.sum(dim=1, keepdim=True) + 3.0)
        self._room, self._bad_step = room, bad_step
        self.sizes: list[int] = []

    def begin_epoch(self, _: int) -> None:
        self.model.train()

    def loss(self, batch: Batch) -> Tensor:
        points, values = batch
        if len(points) > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(points))
        loss = functional.mse_loss(self.model(points), values)
        if self._bad_step is not None and len(self.sizes) > self._bad_step:
            weight = next(self.model.parameters())
            loss = loss + (weight.sum() - weight.sum().detach()).abs().sqrt()
        return loss

    def validate(self) -> dict[str, float]:
        return {"val_loss": float(self.model(torch.ones(1, 3)).sum())}

    @property
    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])


def asked_for(**changes: Any) -> Training:
    """Plain descent, so that gradients show in the weights."""
    plain = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.1, "clip_norm": None}
    return training(**{**plain, "epochs": 2, "mode": "max", **changes})


def fitted(folder: Path, asked: Training, **kind: Any) -> tuple[Line, Context]:
    task, ctx = Line(asked, **kind), Context(output=folder / "out")
    assert fit(task, ctx, asked) is not None
    return task, ctx


def steps_of(folder: Path, asked: Training) -> list[dict[str, float]]:
    """What steps.csv says of a fit."""
    _, ctx = fitted(folder, asked.model_copy(update={"log_every_n_steps": 1}))
    header, *rows = (ctx.output / "steps.csv").read_text().splitlines()
    return [dict(zip(header.split(","), map(float, row.split(",")), strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("count", "size", "groups"),
    [(6, 1, [1] * 6), (6, 2, [2] * 3), (6, 4, [4, 2]), (6, 9, [6]), (0, 2, [])],
)
def test_batches_are_grouped_to_steps(count: int, size: int, groups: list[int]) -> None:
    batches = [(torch.tensor([float(number)]),) for number in range(count)]
    found = list(grouped(iter(batches), size))
    assert [len(group) for group in found] == groups
    assert [batch for group in found for batch in group] == batches


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 8), (2, 4), (4, 2), (11, 2), (3, 8)])
def test_accumulated_batches_make_the_step_of_one_large_batch(
    tmp_path: Path, batch_size: int, accumulate: int, optimizer: str
) -> None:
    """The last group of an epoch too, whose batches have other sizes: rows weigh the same."""
    large, _ = fitted(tmp_path, asked_for(optimizer=optimizer, batch_size=batch_size * accumulate))
    small, ctx = fitted(
        tmp_path,
        asked_for(optimizer=optimizer, batch_size=batch_size, accumulate=accumulate),
    )
    torch.testing.assert_close(small.weights, large.weights, rtol=1e-5, atol=1e-6)
    assert float(small.weights.abs().min()) > 0.05
    assert ctx.notes == {}


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "steps"),
    [(4, 1, 6), (4, 2, 3), (4, 4, 2), (4, 6, 1), (4, 99, 1), (22, 1, 1), (99, 3, 1), (1, 1, 22)],
)
def test_an_epoch_has_so_many_steps(
    tmp_path: Path, batch_size: int, accumulate: int, steps: int
) -> None:
    asked = asked_for(batch_size=batch_size, accumulate=accumulate)
    rows = steps_of(tmp_path, asked)
    assert [row["step"] for row in rows] == list(range(1, 2 * steps + 1))
    assert [row["epoch"] for row in rows] == [1.0] * steps + [2.0] * steps
    state = TrainingState(Line(asked), Context(output=tmp_path / "out"), asked)
    assert state.steps_per_epoch == steps


def test_what_an_epoch_reports_weighs_rows_alike(tmp_path: Path) -> None:
    standing = {"learning_rate": 1e-30, "epochs": 1}
    whole, parts = (
        fitted(tmp_path, asked_for(**standing, batch_size=size, accumulate=accumulate))[1].rows[0]
        for size, accumulate in ((NUM_ROWS, 1), (3, 4))
    )
    assert parts["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-6)


@pytest.mark.parametrize("room", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_without_memory_for_a_batch_it_is_halved_until_it_fits(
    tmp_path: Path, room: int, accumulate: int
) -> None:
    asked = asked_for(batch_size=8, accumulate=accumulate)
    enough, _ = fitted(tmp_path, asked)
    task, ctx = fitted(tmp_path, asked, room=room)
    torch.testing.assert_close(task.weights, enough.weights, rtol=1e-5, atol=1e-6)
    fits = next(size for size in (8, 4, 2, 1) if size <= room)
    assert max(task.sizes) == fits
    assert sum(task.sizes) >= 2 * NUM_ROWS
    tried = [size for size in (8, 4, 2) if size > room]
    assert ctx.notes == {
        f"out of memory on cpu with {size} rows at once in epoch 1; went on with {size // 2}, "
        "whose gradients are added up": False
        for size in tried
    }


def test_a_batch_of_odd_size_is_cut_into_parts_that_differ_by_one(tmp_path: Path) -> None:
    asked = asked_for(batch_size=11, epochs=1)
    task, ctx = fitted(tmp_path, asked, room=3)
    assert task.sizes == [3, 3, 3, 2] * 2
    assert [note.partition(";")[0] for note in ctx.notes] == [
        f"{ROOM} with 11 rows at once in epoch 1",
        f"{ROOM} with 6 rows at once in epoch 1",
    ]
    whole, _ = fitted(tmp_path, asked)
    torch.testing.assert_close(task.weights, whole.weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stop_at", [1, 3, 4])
def test_a_run_that_was_cut_goes_on_with_halves(tmp_path: Path, stop_at: int) -> None:
    asked = asked_for(batch_size=8)
    whole, _ = fitted(tmp_path, asked, room=5)
    cut = Context(output=tmp_path / "cut", stop_at=stop_at)
    assert fit(Line(asked, room=5), cut, asked) is None
    assert len(cut.notes) == 1
    task, on = Line(asked, room=5), Context(output=tmp_path / "on", resumed=cut.checkpoint)
    assert fit(task, on, asked) is not None
    assert max(task.sizes) == 4
    assert on.notes == {}
    assert torch.equal(task.weights, whole.weights)


@pytest.mark.parametrize(
    ("room", "way_out"),
    [
        (7, "4 would fit, or batch_size 4 with accumulate 2 for as many rows per step"),
        (3, "2 would fit, or batch_size 2 with accumulate 4 for as many rows per step"),
        (1, "1 would fit, or batch_size 1 with accumulate 8 for as many rows per step"),
    ],
)
def test_a_batch_that_may_not_be_cut_says_which_size_would_fit(
    tmp_path: Path, room: int, way_out: str
) -> None:
    asked, ctx = asked_for(batch_size=8), Context(output=tmp_path / "out")
    task = Line(asked, room=room, is_splittable=False)
    with pytest.raises(StageError, match=f"^{ROOM} with batch_size 8; {way_out}$"):
        fit(task, ctx, asked)
    assert ctx.notes == {}
    assert torch.count_nonzero(task.weights) == 0
    assert all(parameter.grad is None for parameter in task.model.parameters())
    fitting = int(way_out.partition(" ")[0])
    fitted(tmp_path, asked_for(batch_size=fitting), room=room, is_splittable=False)


@pytest.mark.parametrize("is_splittable", [True, False])
def test_where_not_even_one_row_fits_a_smaller_model_is_the_way_out(
    tmp_path: Path, is_splittable: bool
) -> None:
    asked = asked_for(batch_size=8)
    task = Line(asked, room=0, is_splittable=is_splittable)
    with pytest.raises(StageError, match=f"^{ROOM} even with one row; use a smaller model$"):
        fit(task, Context(output=tmp_path / "out"), asked)


@pytest.mark.parametrize(("accumulate", "named"), [(1, "batch 4"), (2, "batches 7-8")])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_gradient_that_is_not_finite_stops_before_the_step(
    tmp_path: Path, optimizer: str, accumulate: int, named: str
) -> None:
    """Its loss is finite, as that of a square root at zero."""
    asked = asked_for(optimizer=optimizer, batch_size=2, accumulate=accumulate)
    task = Line(asked, bad_step=3 * accumulate)
    with pytest.raises(
        StageError,
        match=rf"not finite in epoch 1, {named} \(rows of 2\); nothing was changed by it; a lower",
    ):
        fit(task, Context(output=tmp_path / "out"), asked)
    assert torch.equal(task.weights, _after(tmp_path, asked, steps=3))


def _after(folder: Path, asked: Training, *, steps: int) -> Tensor:
    """The weights after so many good steps."""
    ctx, task = Context(output=folder / "out"), Line(asked)
    state = TrainingState(task, ctx, asked)
    batches = task.batches.epoch(1, batch_size=asked.batch_size, seed=ctx.seed)
    for group in list(grouped(batches, asked.accumulate))[:steps]:
        module.train_step(state, ctx, group)
    return task.weights


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_on_a_gpu_the_weights_are_left_alone_from_the_first_bad_step_on(
    tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks before the end of the epoch; the optimizer is fused, as it is on a GPU."""
    guard = module._guard

    def as_on_a_gpu(state: TrainingState, loss: Tensor, norm: Tensor) -> None:
        real, state.device = state.device, torch.device("cuda")
        guard(state, loss, norm)
        state.device = real

    asked = asked_for(optimizer=optimizer, batch_size=4)
    expected, normal = _after(tmp_path, asked, steps=2), fitted(tmp_path, asked)
    monkeypatch.setattr(module, "_guard", as_on_a_gpu)
    task = Line(asked, bad_step=2)
    with pytest.raises(StageError, match=r"not finite in epoch 1, batch 3 \(rows of 4\)"):
        fit(task, Context(output=tmp_path / "out"), asked)
    assert len(task.sizes) == 6
    assert torch.equal(task.weights, expected)
    again = fitted(tmp_path, asked)
    assert torch.equal(again[0].weights, normal[0].weights)
    assert again[1].rows == normal[1].rows
