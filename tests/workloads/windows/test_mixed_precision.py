"""Whole stages in 16 bits: the LSTM learns in full precision, and a study comes to an end."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from phasetune.train.precision import Precision
from phasetune.workloads.windows import Data, load
from phasetune.workloads.windows.finetune import finetune
from phasetune.workloads.windows.pretrain import Reconstruction, lack_of_spread, pretrain
from window_stages import context, finetuning, pretraining, small_data

MIXED = pytest.mark.parametrize("precision", ["bf16", "fp16"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return small_data(tmp_path_factory.mktemp("data") / "data")


def gradients_of_spread(data: Data, folder: Path, precision: str) -> dict[str, torch.Tensor]:
    """Of the LSTM's weights, by the spread term alone, as one step of training finds them."""
    torch.manual_seed(0)
    task = Reconstruction(context(folder, data), pretraining())
    task.model.train()
    windows = torch.from_numpy(data.windows_of("unlabeled"))[:12]
    mask = torch.zeros(windows.shape[:2], dtype=torch.bool)
    with Precision(torch.device("cpu"), precision).autocast():
        loss = lack_of_spread(task.model(windows, mask)[1])
        assert loss.dtype == torch.float32
    loss.backward()
    lstm = task.model.encoder.lstm
    return {
        name: weight.grad for name, weight in lstm.named_parameters() if weight.grad is not None
    }


@MIXED
def test_the_spread_term_pulls_as_in_full_precision(
    data: Data, tmp_path: Path, precision: str
) -> None:
    exact, found = (gradients_of_spread(data, tmp_path, name) for name in ("fp32", precision))
    assert len(found) == 2 * 4  # directions, weights and biases
    assert all(bool(gradient.any()) for gradient in found.values())
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, exact[name], rtol=0.05, atol=1e-5)


@MIXED
@pytest.mark.parametrize("normalize", ["window", "none"])
def test_both_stages_come_to_a_model(
    data: Data, tmp_path: Path, precision: str, normalize: Any
) -> None:
    first = context(tmp_path, data, precision=precision)
    found = pretrain(first, pretraining(epochs=6, normalize=normalize))
    assert found["best_epoch"] > 1.0
    second = context(tmp_path, data, precision=precision, parent=first.output)
    scores = finetune(second, finetuning(epochs=4))
    assert scores["epochs_trained"] == 4.0
    assert math.isfinite(scores["best_val_loss"])
    probabilities = load(second.output).predict_proba(data.windows_of("test"))
    assert probabilities.shape == (21, 2)
    assert probabilities.dtype.name.startswith("float")
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
