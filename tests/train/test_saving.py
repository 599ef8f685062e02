"""What a fit leaves besides its weights: kept checkpoints, steps.csv, and the same after a cut."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fit_tasks import Noisy, Scripted, assert_same_weights, fresh, trained, training
from phasetune.errors import StageError
from phasetune.train import saving, state
from phasetune.train.checkpoint import load_checkpoint
from phasetune.train.fit import fit
from phasetune.train.settings import Training
from phasetune.train.task import Batch
from stage_context import Context

TOLD = ("epoch", "metrics", "parameters", "kept_as")
VAL = [5.0, 3.0, 4.0, 3.0, 6.0, 3.5, 3.0, 7.0]


def kept_by(folder: Path, **changes: Any) -> dict[int, list[str]]:
    """Epochs whose checkpoints a fit of eight epochs keeps, with the reasons."""
    ctx = Context(output=folder / "out")
    trained(Scripted(val=VAL), ctx, training(epochs=8, **changes))
    return reasons_in(ctx.checkpoints)


def reasons_in(folder: Path) -> dict[int, list[str]]:
    return {meta["epoch"]: meta["kept_as"] for meta in metas_in(folder)}


def states_in(folder: Path) -> dict[str, dict[str, Any]]:
    """The state of each kept checkpoint by its name."""
    return {path.name: load_checkpoint(path).state for path in sorted(folder.iterdir())}


def metas_in(folder: Path) -> list[dict[str, Any]]:
    metas = [json.loads(path.read_text()) for path in sorted(folder.glob("*/meta.json"))]
    return [{name: meta[name] for name in TOLD} for meta in metas]


def assert_same_kept(one: Path, other: Path) -> None:
    assert metas_in(one) == metas_in(other)
    torch.testing.assert_close(states_in(one), states_in(other), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        (
            {"save_every_n_epochs": 1},
            {2: ["co-best"], 4: ["co-best"], 7: ["co-best"], 8: ["last"]},
        ),
        ({"save_every_n_epochs": 3}, {6: ["last", "best"]}),
        (
            {"save_every_n_epochs": 1, "keep_last": 3, "keep_best": 0},
            {6: ["last"], 7: ["last"], 8: ["last"]},
        ),
        (
            {"save_every_n_epochs": 1, "keep_last": 0, "keep_best": 4},
            {2: ["co-best"], 4: ["co-best"], 6: ["best"], 7: ["co-best"]},
        ),
        ({"save_every_n_epochs": 1, "keep_last": 0, "keep_best": 0}, {}),
        (
            {"save_every_n_epochs": 2, "keep_best": 0, "keep_epochs": (2, 6)},
            {2: ["milestone"], 6: ["milestone"], 8: ["last"]},
        ),
        (
            {"save_every_n_epochs": 1, "mode": "max", "watch": "doubled", "keep_last": 0},
            {8: ["best"]},
        ),
        (
            {"save_every_n_epochs": 1, "validate_every_n_epochs": 3, "keep_last": 2},
            {6: ["best"], 7: ["last"], 8: ["last"]},
        ),
    ],
    ids=str,
)
def test_the_last_the_best_and_named_epochs_are_kept(
    changes: dict[str, Any], expected: dict[int, list[str]], tmp_path: Path
) -> None:
    assert kept_by(tmp_path, **changes) == expected


def test_a_kept_checkpoint_holds_the_weights_of_its_epoch(tmp_path: Path) -> None:
    """The weight of this task counts the steps."""
    ctx = Context(output=tmp_path / "out")
    asked = training(epochs=8, save_every_n_epochs=3, watch="doubled", keep_last=2)
    trained(Scripted(val=VAL), ctx, asked)
    found = states_in(ctx.checkpoints)
    assert list(found) == ["epoch003_doubled6.0000", "epoch006_doubled12.0000"]
    assert [state["model"]["weight"].item() for state in found.values()] == [3.0, 6.0]
    assert all(set(state) == {"model", "optimizer"} for state in found.values())
    first, second = metas_in(ctx.checkpoints)
    assert first["parameters"] == asked.model_dump(mode="json")
    assert (first["metrics"]["val_loss"], second["metrics"]["val_loss"]) == (4.0, 3.5)


EVERYTHING = {
    "epochs": 4,
    "save_every_n_epochs": 1,
    "keep_last": 2,
    "keep_epochs": (1,),
    "log_every_n_steps": 4,
    "accumulate": 2,
}


def whole_fit(folder: Path, asked: Training) -> Context:
    ctx = Context(output=folder / "whole")
    trained(fresh(), ctx, asked)
    return ctx


@pytest.mark.parametrize("stops", [[2], [4], [5], [9], [3, 3], [4, 4, 4], [1] * 9], ids=str)
def test_a_run_that_was_cut_leaves_what_an_undisturbed_one_does(
    stops: list[int], tmp_path: Path
) -> None:
    asked = training(**EVERYTHING)
    whole = whole_fit(tmp_path, asked)
    checkpoint: Path | None = None
    for position, calls in enumerate([*stops, None]):
        ctx = Context(output=tmp_path / f"{position}", stop_at=calls, resumed=checkpoint)
        assert (fit(fresh(seed=3 + position), ctx, asked) is None) == (calls is not None)
        checkpoint = ctx.checkpoint
    assert reasons_in(ctx.checkpoints).keys() >= {1, 3, 4}
    assert_same_kept(ctx.checkpoints, whole.checkpoints)
    assert _steps(ctx) == _steps(whole)


def test_what_a_crash_left_behind_does_not_change_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saved epochs after the resume checkpoint that it is to go on from."""
    monkeypatch.setattr(saving, "CHECKPOINT_SECONDS", -1.0)
    asked = training(**EVERYTHING)
    whole = whole_fit(tmp_path, asked)
    for number, checkpoint in enumerate(whole.kept):
        ctx = Context(output=tmp_path / f"{number}", resumed=checkpoint)
        shutil.copytree(whole.checkpoints, ctx.checkpoints, dirs_exist_ok=True)
        trained(fresh(seed=99), ctx, asked)
        assert_same_kept(ctx.checkpoints, whole.checkpoints)


def _steps(ctx: Context) -> list[list[str]]:
    lines = (ctx.output / "steps.csv").read_text().splitlines()
    return [line.split(",") for line in lines]


def test_steps_csv_tells_every_nth_step(tmp_path: Path) -> None:
    ctx = Context(output=tmp_path / "out")
    task = Scripted(val=[1.0, 1.0], train=[2.5, 4.0], num_rows=12)
    trained(task, ctx, training(epochs=2, log_every_n_steps=2, warmup_steps=4, clip_norm=None))
    assert _steps(ctx) == [
        ["step", "epoch", "loss", "gradient_norm", "learning_rate"],
        ["2", "1", "2.5", "0.5", "1.0"],
        ["4", "2", "4.0", "0.5", "2.0"],
        ["6", "2", "4.0", "0.5", "2.0"],
    ]


def test_without_being_asked_there_is_no_steps_csv(tmp_path: Path) -> None:
    ctx = whole_fit(tmp_path, training(epochs=1))
    assert list(ctx.output.iterdir()) == []
    assert list(ctx.checkpoints.iterdir()) == []


class Clock:
    """A batch takes a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, loss = 0.0, Noisy.loss

        def slow(task: Noisy, batch: Batch) -> Tensor:
            self.now += 1.0
            return loss(task, batch)

        monkeypatch.setattr(Noisy, "loss", slow)
        monkeypatch.setattr(state, "time", self)

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("minutes", "epoch", "steps"),
    [(1 / 60, 1, 1), (5 / 60, 1, 5), (6 / 60, 1, 6), (8 / 60, 2, 8), (1000.0, 3, 18)],
)
def test_a_time_limit_ends_a_run_with_what_it_has(
    minutes: float, epoch: int, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    ctx, task = Context(output=tmp_path / "out"), fresh()
    asked = training(epochs=3, time_limit_minutes=minutes, validate_every_n_epochs=3)
    progress = trained(task, ctx, asked)
    assert (progress.epoch, progress.step, progress.best_epoch) == (epoch, steps, epoch)
    assert "val_loss" in ctx.by_step[epoch]
    note = f"ended in epoch {epoch} of 3 after time_limit_minutes {minutes:g}"
    assert ctx.notes == ({} if steps == 18 else {note: False})


@pytest.mark.parametrize("stop_at", [1, 3, 5, 6, 7])
def test_time_counts_on_after_an_interruption(
    stop_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    asked = training(epochs=3, time_limit_minutes=8 / 60)
    whole = fresh()
    expected = trained(whole, Context(output=tmp_path / "whole"), asked)
    cut = Context(output=tmp_path / "cut", stop_at=stop_at)
    assert fit(fresh(), cut, asked) is None
    task = fresh(seed=9)
    assert trained(task, Context(output=tmp_path / "on", resumed=cut.checkpoint), asked) == expected
    assert_same_weights(task.model, whole.model)


def test_gradient_checkpointing_is_refused_where_the_model_has_none(tmp_path: Path) -> None:
    with pytest.raises(
        StageError,
        match=r"^gradient_checkpointing: Sequential does not support it; leave it out, or use a",
    ):
        fit(fresh(), Context(output=tmp_path / "out"), training(gradient_checkpointing=True))


class Checkpointed(nn.Sequential):
    calls = 0

    def gradient_checkpointing_enable(self) -> None:
        self.calls += 1


@pytest.mark.parametrize("is_asked", [True, False])
def test_gradient_checkpointing_is_the_model_s_own(is_asked: bool, tmp_path: Path) -> None:
    task: Noisy = fresh()
    model = Checkpointed(task.model)
    task.model = model
    asked = training(epochs=1, gradient_checkpointing=is_asked)
    trained(task, Context(output=tmp_path / "out"), asked)
    assert model.calls == int(is_asked)
