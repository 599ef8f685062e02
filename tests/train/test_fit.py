"""The fit loop: what it ends with, what it counts, and that a cut leaves no trace."""

import math
from pathlib import Path
from typing import Any

import pytest

from fit_tasks import NUM_ROWS, Noisy, Scripted, assert_same_weights, fresh, trained, training
from phasetune.errors import StageError
from phasetune.train import saving as module
from phasetune.train.fit import fit
from stage_context import Context

CALLS_PER_EPOCH = 7
"""How often a fit asks for an end: between its six steps, at an epoch's end, and for a save."""


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(
    "stops", [[1], [3], [6], [7], [15], [1, 1], [3, 2, 4], [7, 7], [33]], ids=str
)
def test_a_cut_leaves_no_trace(stops: list[int], precision: str, tmp_path: Path) -> None:
    whole, uncut = fresh(), Context(output=tmp_path / "uncut", precision=precision)
    expected = trained(whole, uncut, training())
    checkpoint: Path | None = None
    rows: dict[int, dict[str, float]] = {}
    for position, calls in enumerate([*stops, None]):
        task = fresh(seed=3 if position == 0 else 90 + position)
        ctx = Context(
            output=tmp_path / f"{position}", stop_at=calls, resumed=checkpoint, precision=precision
        )
        progress = fit(task, ctx, training())
        assert (progress is None) == (calls is not None)
        checkpoint, rows = ctx.checkpoint, rows | ctx.by_step
    assert progress == expected
    assert rows == uncut.by_step
    assert_same_weights(task.model, whole.model)


@pytest.mark.parametrize("stop_in", [2, 4, 5, 6, 7, 8])
def test_a_cut_does_not_move_early_stopping(stop_in: int, tmp_path: Path) -> None:
    asked, whole = training(epochs=30, patience=3, min_delta=0.02), fresh()
    expected = trained(whole, Context(output=tmp_path / "whole"), asked)
    assert 3 < expected.best_epoch == expected.epoch - 3 < 27
    ctx = Context(output=tmp_path / "cut", stop_in=stop_in)
    assert fit(fresh(), ctx, asked) is None
    task = fresh(seed=99)
    going_on = Context(output=tmp_path / "on", resumed=ctx.checkpoint)
    assert trained(task, going_on, asked) == expected
    assert_same_weights(task.model, whole.model)


def test_every_checkpoint_of_a_run_that_crashed_leads_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(module, "MOST_SHARE_OF_TIME", math.inf)
    whole, ctx = fresh(), Context(output=tmp_path / "whole")
    expected = trained(whole, ctx, training(epochs=2))
    assert ctx.reports == [1] * 6 + [2] * 6
    for number, checkpoint in enumerate(ctx.kept):
        task = fresh(seed=99)
        going_on = Context(output=tmp_path / f"from{number}", resumed=checkpoint)
        assert trained(task, going_on, training(epochs=2)) == expected
        assert ctx.by_step.items() >= going_on.by_step.items()
        assert_same_weights(task.model, whole.model)


def test_a_stop_hands_over_one_checkpoint_and_leaves_no_folder_behind(tmp_path: Path) -> None:
    ctx = Context(output=tmp_path / "out", stop_at=9)
    assert fit(fresh(), ctx, training()) is None
    assert (ctx.reports, len(ctx.kept)) == ([1, 2], 1)
    assert not ctx.given.exists()
    assert list(ctx.output.iterdir()) == []


def test_the_first_epochs_do_not_depend_on_how_many_are_asked_for(tmp_path: Path) -> None:
    short, long = Context(output=tmp_path / "out"), Context(output=tmp_path / "out")
    trained(fresh(), short, training(epochs=3))
    trained(fresh(), long, training(epochs=5))
    assert list(long.by_step) == [1, 2, 3, 4, 5]
    assert short.by_step == {epoch: long.by_step[epoch] for epoch in (1, 2, 3)}


def orders_of(path: Path, task: Noisy, seed: int = 7, **changes: Any) -> list[tuple[int, ...]]:
    trained(task, Context(output=path / "out", seed=seed), training(**changes))
    return [tuple(order) for order in task.orders]


def test_randomness_and_order_of_rows_come_from_seed_and_epoch_alone(tmp_path: Path) -> None:
    task, other = fresh(), fresh()
    orders = orders_of(tmp_path, task)
    assert [sorted(order) for order in orders] == [list(range(NUM_ROWS))] * 5
    assert orders_of(tmp_path, fresh(seed=4), epochs=3) == orders[:3]
    assert orders_of(tmp_path, Noisy(num_draws=9)) == orders
    assert orders_of(tmp_path, fresh(), batch_size=NUM_ROWS) == orders
    assert len({*orders, *orders_of(tmp_path, other, seed=8)}) == 10
    assert len({*task.draws, *other.draws}) == 10


def test_the_best_weights_are_left_in_the_model_not_the_last(tmp_path: Path) -> None:
    task = Scripted(val=[3.0, 1.0, 2.0, 1.5])
    progress = trained(task, Context(output=tmp_path / "out"), training(epochs=4))
    assert (progress.epoch, progress.val_loss) == (4, 1.5)
    assert (progress.best_epoch, progress.best_val_loss) == (2, 1.0)
    assert task.weight == 2.0


def test_each_epoch_reports_its_mean_over_rows_and_what_is_validated(tmp_path: Path) -> None:
    task, ctx = Scripted(val=[3.0, 1.0], num_rows=9), Context(output=tmp_path / "out")
    trained(task, ctx, training(epochs=2))
    told = {"train_loss": 4.0, "gradient_norm": 0.5, "learning_rate": 2.0}
    assert ctx.by_step == {
        1: {**told, "val_loss": 3.0, "doubled": 2.0},
        2: {**told, "val_loss": 1.0, "doubled": 4.0},
    }
    assert (ctx.kept, task.was_ready) == ([], [True, True])


@pytest.mark.parametrize(
    ("epochs", "every", "validated"),
    [
        (5, 1, [1, 2, 3, 4, 5]),
        (5, 2, [2, 4, 5]),
        (6, 2, [2, 4, 6]),
        (5, 4, [4, 5]),
        (5, 5, [5]),
    ],
)
def test_every_nth_epoch_is_validated_and_the_last_one_always(
    epochs: int, every: int, validated: list[int], tmp_path: Path
) -> None:
    task = Scripted(val=[9.0 - epoch for epoch in range(epochs)])
    ctx = Context(output=tmp_path / "out")
    progress = trained(task, ctx, training(epochs=epochs, validate_every_n_epochs=every))
    assert [row["step"] for row in ctx.rows if "val_loss" in row] == validated
    assert list(ctx.by_step) == list(range(1, epochs + 1))
    assert len(task.was_ready) == len(validated)
    assert progress.best_epoch == progress.validated_epoch == epochs


@pytest.mark.parametrize(
    ("val", "changes", "ended", "best"),
    [
        ([1.0] * 9, {"patience": None}, 9, 1),
        ([1.0] * 9, {"patience": 2}, 3, 1),
        ([1.0] * 9, {"patience": 2, "patience_from": 4}, 6, 1),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0], {"patience": 2, "patience_from": 2}, 7, 5),
        ([1.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0], {"patience": 3}, 7, 4),
        ([1.0, 2.0, 2.0, 2.0, 0.5], {"patience": 3}, 4, 1),
        ([3.0, 2.75, 2.5, 2.25, 2.0], {"patience": 3, "min_delta": 0.5}, 5, 4),
        ([3.0, 2.75, 2.5, 2.25], {"patience": 2, "min_delta": 0.5}, 3, 1),
        ([2.0, 1.0], {"patience": 20}, 2, 2),
    ],
    ids=str,
)
def test_early_stopping_waits_from_the_best_epoch_or_from_patience_from(
    val: list[float], changes: dict[str, Any], ended: int, best: int, tmp_path: Path
) -> None:
    task = Scripted(val=val)
    patience_from = changes.pop("patience_from", 0)
    asked = training(epochs=len(val), **changes)
    progress = trained(task, Context(output=tmp_path / "out"), asked, patience_from=patience_from)
    assert (progress.epoch, progress.best_epoch) == (ended, best)
    assert progress.best_val_loss == val[best - 1]
    assert task.weight == best


def test_no_epochs_leave_the_untrained_model(tmp_path: Path) -> None:
    task, ctx = Scripted(val=[0.75]), Context(output=tmp_path / "out")
    progress = trained(task, ctx, training(epochs=0))
    assert (progress.epoch, progress.best_epoch) == (0, 0)
    assert progress.best_val_loss == progress.val_loss == 0.75
    assert (task.weight, ctx.by_step) == (0.0, {})


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf], ids=str)
def test_a_loss_that_is_not_finite_names_its_epoch_and_batch(loss: float, tmp_path: Path) -> None:
    ctx = Context(output=tmp_path / "out")
    way_out = "; a lower learning_rate or clip_norm may help$"
    task = Scripted(val=[1.0] * 3, train=[1.0, loss, 1.0], num_rows=9)
    bad_step = r"not finite in epoch 2, batch 1 \(rows of 4\).*may help$"
    with pytest.raises(StageError, match=bad_step):
        fit(task, ctx, training(epochs=3))
    assert (task.weight, list(ctx.by_step)) == (3.0, [1])
    with pytest.raises(StageError, match=f"^the validation loss is {loss} in epoch 3{way_out}"):
        fit(Scripted(val=[1.0, 1.0, loss]), ctx, training(epochs=3))
    with pytest.raises(StageError, match=f"^the validation loss is {loss} in epoch 0"):
        fit(Scripted(val=[loss]), ctx, training(epochs=0))


@pytest.mark.parametrize(("slope", "moved"), [(100.0, 1.0), (0.51, 1.0), (0.25, 0.5)])
def test_a_gradient_is_clipped_to_its_norm(slope: float, moved: float, tmp_path: Path) -> None:
    task = Scripted(val=[1.0], slope=slope)
    trained(task, Context(output=tmp_path / "out"), training(epochs=1, clip_norm=0.5))
    assert task.weight == pytest.approx(moved, rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_all_of_a_fit_computes_in_its_precision(precision: str, tmp_path: Path) -> None:
    exact, mixed = (
        Context(output=tmp_path / "out"),
        Context(output=tmp_path / "out", precision=precision),
    )
    for asked, name in ((training(epochs=1), "train_loss"), (training(epochs=0), "val_loss")):
        one, other = (vars(trained(fresh(), ctx, asked))[name] for ctx in (exact, mixed))
        assert one != other
        assert one == pytest.approx(other, rel=0.05)
