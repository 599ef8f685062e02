"""Pre-training: what is learned and kept, from what, and going on after a cut."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from phasetune import StageError
from phasetune.workloads.windows import Data, Pretrain, load_encoder
from phasetune.workloads.windows import pretrain as module
from phasetune.workloads.windows.pretrain import Reconstruction, pretrain
from stage_context import Context
from window_stages import context, data_in, labelled, pretraining, small_data

Made = list[Reconstruction]


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return small_data(tmp_path / "data")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The tasks that are made, to look at when they are trained."""
    made: Made = []

    class Remembered(Reconstruction):
        def __init__(self, ctx: Any, params: Pretrain) -> None:
            super().__init__(ctx, params)
            made.append(self)

    monkeypatch.setattr(module, "Reconstruction", Remembered)
    return made


@pytest.fixture
def trained(data: Data, tmp_path: Path) -> Callable[..., tuple[Context, dict[str, float]]]:
    """Pre-train with changed parameters; keywords in `given` are the context's."""

    def go(given: dict[str, Any] | None = None, **changes: Any) -> tuple[Context, dict[str, float]]:
        ctx = context(tmp_path / "runs", **{"data": data, **(given or {})})
        return ctx, pretrain(ctx, pretraining(**changes))

    return go


Trained = Callable[..., tuple[Context, dict[str, float]]]


def weights(ctx: Context) -> bytes:
    return (ctx.output / "encoder.safetensors").read_bytes()


def test_the_loss_goes_down(trained: Trained) -> None:
    untrained = trained(epochs=0)[1]["best_val_loss"]
    ctx, metrics = trained(epochs=25)
    assert metrics["best_val_loss"] < 0.8 * untrained
    assert ctx.rows[-1]["train_loss"] < 0.8 * ctx.rows[0]["train_loss"]


def test_metrics_are_those_of_the_history(trained: Trained) -> None:
    ctx, metrics = trained(epochs=12, learning_rate=0.3)
    losses = [row["val_loss"] for row in ctx.rows]
    assert [row["step"] for row in ctx.rows] == list(range(1, 13))
    assert metrics == {
        "best_val_loss": min(losses),
        "best_epoch": 1.0 + losses.index(min(losses)),
        "epochs_trained": 12.0,
        "final_val_loss": losses[-1],
        "final_train_loss": ctx.rows[-1]["train_loss"],
    }


def test_the_artifact_has_the_best_weights_not_the_last(trained: Trained, tasks: Made) -> None:
    ctx, metrics = trained(epochs=12, learning_rate=0.3)
    assert metrics["best_epoch"] < metrics["epochs_trained"]
    (task,) = tasks
    task.model.eval()
    with torch.no_grad():
        assert task.validate()["val_loss"] == metrics["best_val_loss"]
    kept = load_file(ctx.output / "encoder.safetensors")
    for name, value in task.model.encoder.state_dict().items():
        np.testing.assert_array_equal(kept[name], value.numpy())
    until_best = trained(epochs=int(metrics["best_epoch"]), learning_rate=0.3)[0]
    assert weights(until_best) == weights(ctx)


def test_without_improvement_it_ends_early(trained: Trained) -> None:
    ctx, metrics = trained(epochs=9, patience=2, min_delta=1e6)
    assert (metrics["best_epoch"], metrics["epochs_trained"]) == (1.0, 3.0)
    assert weights(ctx) == weights(trained(epochs=1)[0])


def test_the_encoder_s_file_tells_its_shape(trained: Trained) -> None:
    ctx, _ = trained(hidden_size=3, num_layers=2, dropout=0.25, normalize="none", epochs=1)
    assert sorted(path.name for path in ctx.output.iterdir()) == [
        "encoder.json",
        "encoder.safetensors",
    ]
    assert json.loads((ctx.output / "encoder.json").read_text()) == {
        "schema": 1,
        "channels": 2,
        "hidden_size": 3,
        "num_layers": 2,
        "dropout": 0.25,
        "normalize": "none",
    }


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(trained: Trained) -> None:
    first = trained()
    torch.manual_seed(99)
    again = trained()
    assert weights(again[0]) == weights(first[0])
    assert (again[1], again[0].rows) == (first[1], first[0].rows)
    assert weights(trained({"seed": 2})[0]) != weights(first[0])


@pytest.mark.parametrize(
    "change",
    [
        {"mask": "random"},
        {"mask": "block"},
        {"mask_ratio": 0.5},
        {"patch_size": 4},
        {"spread_weight": 5.0},
        {"dropout": 0.4},
        {"learning_rate": 0.02},
        {"weight_decay": 0.5},
        {"clip_norm": 1e-4, "batch_size": 40},
        {"batch_size": 20},
        {"val_fraction": 0.3},
        {"normalize": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_parameter_matters(trained: Trained, change: dict[str, Any]) -> None:
    assert weights(trained(epochs=2, **change)[0]) != weights(trained(epochs=2)[0])


def test_without_epochs_the_encoder_is_left_as_it_was_initialised(trained: Trained) -> None:
    ctx, metrics = trained(epochs=0)
    assert set(metrics) == {"best_val_loss", "best_epoch", "epochs_trained", "final_val_loss"}
    assert (metrics["best_epoch"], metrics["epochs_trained"], ctx.rows) == (0.0, 0.0, [])
    assert metrics["best_val_loss"] == metrics["final_val_loss"] > 0
    standing_still = trained(epochs=1, learning_rate=1e-30)
    assert weights(standing_still[0]) == weights(ctx)
    assert standing_still[1]["best_val_loss"] == metrics["best_val_loss"]
    assert weights(trained(epochs=1)[0]) != weights(ctx)
    assert weights(trained({"seed": 2}, epochs=0)[0]) != weights(ctx)


@pytest.mark.parametrize("stop_in", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "change",
    [{}, {"learning_rate": 0.3, "patience": 4}, {"min_delta": 1e6}],
    ids=["steady", "wobbly", "first-is-best"],
)
def test_a_cut_run_goes_on_to_the_same_bytes(
    trained: Trained, stop_in: int, change: dict[str, Any]
) -> None:
    whole, metrics = trained(epochs=5, dropout=0.2, **change)
    cut, returned = trained({"stop_in": stop_in}, epochs=5, dropout=0.2, **change)
    assert returned == {}
    assert list(cut.output.iterdir()) == []
    resumed, found = trained({"resumed": cut.checkpoint}, epochs=5, dropout=0.2, **change)
    assert weights(resumed) == weights(whole)
    assert found == metrics
    assert {**cut.by_step, **resumed.by_step} == whole.by_step


def test_only_unlabelled_windows_are_needed(tmp_path: Path) -> None:
    alone = data_in(tmp_path / "alone", unlabeled={"X": labelled(10)["X"]})
    ctx = context(tmp_path / "runs", alone)
    assert pretrain(ctx, pretraining(epochs=1))["epochs_trained"] == 1.0


def test_the_spread_term_spreads_what_is_encoded(data: Data, trained: Trained) -> None:
    def spread(weight: float) -> float:
        ctx, _ = trained(epochs=20, spread_weight=weight)
        encoded = load_encoder(ctx.output).encode(data.windows_of("unlabeled"))
        return float(encoded.mean(axis=1).std(axis=0).mean())

    assert spread(20.0) > 1.5 * spread(0.0)


def test_the_mask_token_learns(trained: Trained, tasks: Made) -> None:
    trained(epochs=0)
    trained(epochs=1)
    still, learned = (task.model.mask_token.detach() for task in tasks)
    assert torch.count_nonzero(still) == 0
    assert torch.count_nonzero(learned) == len(learned)


def test_a_loss_that_is_no_number_is_a_sentence(tmp_path: Path) -> None:
    huge = data_in(tmp_path / "huge", unlabeled={"X": labelled(20)["X"] * np.float32(1e14)})
    ctx = context(tmp_path / "runs", huge)
    message = r"not finite in epoch 1, batch 2 \(rows of 12\).*; a lower learning_rate or clip_norm"
    with pytest.raises(StageError, match=message):
        pretrain(ctx, pretraining(learning_rate=1e38))
    for normalize in ("none", "window"):
        found = pretrain(ctx, pretraining(normalize=normalize, spread_weight=0.0))
        assert math.isfinite(found["best_val_loss"])
