"""Where memory runs out besides a batch's own pass, and what is advised where gradients add up."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fit_tasks import Noisy, fresh, training
from phasetune.errors import StageError
from phasetune.train.fit import fit
from phasetune.train.task import Batch
from stage_context import Context


def exhausted(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_the_optimizer_s_own_state_may_be_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = fresh()
    monkeypatch.setattr(task.optimizer, "step", exhausted)
    with pytest.raises(StageError, match=r"out of memory on cpu in the step of optimizer: adamw"):
        fit(task, Context(output=tmp_path / "out"), training())


def test_validating_may_be_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = fresh()
    monkeypatch.setattr(task, "validate", exhausted)
    with pytest.raises(
        StageError, match=r"out of memory on cpu while validating with batch_size 4"
    ):
        fit(task, Context(output=tmp_path / "out"), training())


def test_what_is_advised_keeps_the_rows_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, loss = fresh(), Noisy.loss

    def short(noisy: Noisy, batch: Batch) -> Tensor:
        return exhausted() if len(batch[0]) > 2 else loss(noisy, batch)

    monkeypatch.setattr(Noisy, "loss", short)
    advice = "batch_size 8; 2 would fit, or batch_size 2 with accumulate 12 for as many rows"
    with pytest.raises(StageError, match=advice):
        fit(task, Context(output=tmp_path / "out"), training(batch_size=8, accumulate=3))
