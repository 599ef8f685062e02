"""The loss of pre-training, and which windows and masks it is asked about."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phasetune.train.task import Batch
from phasetune.workloads.windows import Data
from phasetune.workloads.windows.model import EncoderShape, normalized
from phasetune.workloads.windows.pretrain import (
    Autoencoder,
    Reconstruction,
    lack_of_spread,
    masked_error,
)
from window_stages import context, pretraining, small_data


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return small_data(tmp_path / "data")


@torch.no_grad()
def validated(task: Reconstruction) -> float:
    return task.validate()["val_loss"]


def batch_of(task: Reconstruction, size: int) -> Batch:
    return next(task.batches.epoch(1, batch_size=size, seed=1))


@pytest.mark.parametrize(
    ("val_fraction", "sizes"), [(0.0001, (39, 1)), (0.1, (36, 4)), (0.9999, (1, 39))]
)
def test_each_window_is_trained_on_or_validates_never_both(
    data: Data, tmp_path: Path, val_fraction: float, sizes: tuple[int, int]
) -> None:
    ctx = context(tmp_path / "runs", data)
    task = Reconstruction(ctx, pretraining(val_fraction=val_fraction))
    seen = forward_calls(task.model)
    for batch in task.batches.epoch(1, batch_size=task.batches.num_rows, seed=1):
        task.loss(batch)
    validated(task)
    fitted, watched = seen[0]["windows"], torch.cat([call["windows"] for call in seen[1:]])
    assert (len(fitted), len(watched)) == sizes
    every = normalized(torch.from_numpy(data.windows_of("unlabeled")), "window")
    found = sorted(window.tolist() for window in torch.cat([fitted, watched]))
    assert found == sorted(window.tolist() for window in every)


def forward_calls(model: nn.Module) -> list[dict[str, Tensor]]:
    """What an autoencoder is given and gives, call by call."""
    calls: list[dict[str, Tensor]] = []

    def note(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        names = ("windows", "mask", "filled", "latent")
        calls.append(dict(zip(names, (*given, *output), strict=True)))

    model.register_forward_hook(note)
    return calls


@pytest.mark.parametrize("spread_weight", [0.0, 0.1, 3.0])
def test_the_loss_is_the_error_of_what_is_hidden_plus_the_spread_term(
    data: Data, tmp_path: Path, spread_weight: float
) -> None:
    task = Reconstruction(
        context(tmp_path / "runs", data), pretraining(spread_weight=spread_weight)
    )
    calls = forward_calls(task.model)
    loss = task.loss(batch_of(task, 12)).item()
    call = {name: value.detach().double().numpy() for name, value in calls[0].items()}
    hidden = call["mask"].astype(bool)
    assert hidden.sum(axis=1).tolist() == [3] * 12  # a quarter of four patches of three steps
    error = ((call["filled"] - call["windows"]) ** 2)[hidden].mean()
    spread = np.sqrt(call["latent"].var(axis=0) + 1e-4).mean()
    assert 0.0 < spread < 1.0
    assert loss == pytest.approx(error + spread_weight * (1.0 - spread), rel=1e-5)


def test_each_loss_takes_one_pass_of_the_encoder(data: Data, tmp_path: Path) -> None:
    task = Reconstruction(context(tmp_path / "runs", data), pretraining())
    passes: list[int] = []
    task.model.encoder.register_forward_hook(lambda _, given, __: passes.append(len(given[0])))
    task.loss(batch_of(task, 7))
    assert passes == [7]
    validated(task)
    assert passes == [7, 4]


def test_validation_masks_are_those_of_every_epoch(data: Data, tmp_path: Path) -> None:
    task = Reconstruction(context(tmp_path / "runs", data), pretraining())
    calls = forward_calls(task.model.eval())
    torch.manual_seed(1)
    first = validated(task)
    torch.manual_seed(2)
    assert validated(task) == first
    assert torch.equal(calls[0]["mask"], calls[1]["mask"])


def test_arms_are_validated_on_the_same_windows_under_the_same_masks(
    data: Data, tmp_path: Path
) -> None:
    """Whatever the model is, so that their losses can be compared; another seed has others."""
    seen: list[dict[str, Tensor]] = []
    for seed, hidden_size in ((1, 4), (1, 8), (2, 4)):
        ctx = context(tmp_path / "runs", data, seed=seed)
        task = Reconstruction(ctx, pretraining(hidden_size=hidden_size, val_fraction=0.3))
        calls = forward_calls(task.model)
        validated(task)
        seen.append(calls[0])
    for name in ("windows", "mask"):
        assert torch.equal(seen[0][name], seen[1][name])
        assert not torch.equal(seen[0][name], seen[2][name])


def test_what_is_hidden_does_not_reach_the_encoder() -> None:
    shape = EncoderShape(channels=2, hidden_size=3, num_layers=1, dropout=0.0, normalize="none")
    model, windows = Autoencoder(shape), torch.randn(4, 9, 2)
    mask = torch.zeros(4, 9, dtype=torch.bool)
    mask[:, 3:6] = True
    other = torch.where(mask.unsqueeze(-1), torch.full_like(windows, 77.0), windows)
    for found, expected in zip(model(other, mask), model(windows, mask), strict=True):
        assert torch.equal(found, expected)
    assert not torch.equal(model(windows, ~mask)[0], model(windows, mask)[0])


def test_what_is_seen_does_not_count_in_the_error() -> None:
    filled, windows = torch.randn(4, 9, 2), torch.randn(4, 9, 2)
    mask = torch.rand(4, 9) < 0.4
    expected = float(masked_error(filled, windows, mask))
    disturbed = filled + 50.0 * torch.randn(4, 9, 2) * ~mask.unsqueeze(-1)
    assert float(masked_error(disturbed, windows, mask)) == pytest.approx(expected)
    assert float(masked_error(windows, windows, mask)) == 0.0
    assert float(masked_error(windows + 2.0, windows, mask)) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [
        ([0.0, 0.0], 1.0 - 0.01),
        ([0.5, 0.5], 0.5),
        ([0.2, 0.6], 0.6),
        ([0.0, 1.0], 1.0 - 0.505),
        ([3.0, 3.0], 0.0),
        ([0.0, 9.0], 0.0),
    ],
)
def test_spread_is_the_mean_of_the_deviations_over_a_batch(
    deviations: list[float], expected: float
) -> None:
    latent = 5.0 + torch.tensor([[-1.0], [1.0], [-1.0], [1.0]]) * torch.tensor(deviations)
    assert float(lack_of_spread(latent)) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("count", [1, 4])
def test_windows_encoded_alike_have_a_finite_gradient(count: int) -> None:
    latent = torch.ones(count, 3, requires_grad=True)
    lack_of_spread(latent).backward()
    assert latent.grad is not None
    assert torch.isfinite(latent.grad).all()
