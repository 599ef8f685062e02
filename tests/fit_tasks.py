"""Tasks for the fit loop by itself, small enough to train in a moment."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from phasetune.stage.contract import StageContext
from phasetune.train.batches import Batches, Tensors
from phasetune.train.fit import fit
from phasetune.train.optimizers import make_optimizer, parameter_groups
from phasetune.train.progress import Progress
from phasetune.train.settings import Training
from phasetune.train.task import Batch, Task

NUM_ROWS = 22


class Noisy:
    """Classes of points, by a network that drops out, counts batches and freezes in between."""

    is_splittable = False

    def __init__(self, *, num_draws: int = 1, optimizer: Any = "adamw") -> None:
        self._points = torch.randn(NUM_ROWS + 10, 4, generator=torch.Generator().manual_seed(1))
        self._labels = self._points[:, :3].argmax(dim=1)
        self._first = nn.Linear(4, 8)
        rest = nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
        self.model: nn.Module = nn.Sequential(self._first, *rest)
        groups = parameter_groups([(self.model, 0.05)], weight_decay=0.01)
        self.optimizer: torch.optim.Optimizer = make_optimizer(
            groups, Training(optimizer=optimizer), device=torch.device("cpu")
        )
        self.batches: Batches = Tensors(torch.arange(NUM_ROWS))
        self._num_draws = num_draws
        self.orders: list[list[int]] = []
        self.draws: list[float] = []

    def begin_epoch(self, epoch: int) -> None:
        self._first.requires_grad_(epoch % 3 != 1)
        self.model.train()
        self.orders.append([])
        self.draws += torch.rand(self._num_draws).tolist()

    def loss(self, batch: Batch) -> Tensor:
        (rows,) = batch
        self.orders[-1] += rows.tolist()
        return 8.0 * functional.cross_entropy(self.model(self._points[rows]), self._labels[rows])

    def validate(self) -> dict[str, float]:
        logits = self.model(self._points[NUM_ROWS:])
        return {"val_loss": float(functional.cross_entropy(logits, self._labels[NUM_ROWS:]))}


class Scripted:
    """A weight that counts the steps; losses are told per epoch, or are the row numbers."""

    is_splittable = True

    def __init__(
        self,
        *,
        val: list[float],
        train: list[float] | None = None,
        slope: float = 0.5,
        num_rows: int = 1,
    ) -> None:
        self.model: nn.Module = nn.Linear(1, 1, bias=False)
        self._weight = next(self.model.parameters())
        nn.init.zeros_(self._weight)
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD([self._weight], lr=2.0)
        self.optimizer.param_groups[0]["initial_lr"] = 2.0
        self.batches: Batches = Tensors(torch.arange(num_rows))
        self._val, self._train, self._slope, self._epoch = val, train, slope, 0
        self.was_ready: list[bool] = []

    @property
    def weight(self) -> float:
        return float(self._weight.detach())

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self.model.train()

    def loss(self, batch: Batch) -> Tensor:
        (rows,) = batch
        told = rows.float().mean() if self._train is None else self._train[self._epoch - 1]
        push = -self._slope * self._weight.sum()
        return told + push - push.detach()

    def validate(self) -> dict[str, float]:
        self.was_ready.append(not self.model.training and not torch.is_grad_enabled())
        return {"val_loss": self._val[max(self._epoch - 1, 0)], "doubled": 2.0 * self._epoch}


def training(**changes: Any) -> Training:
    chosen: dict[str, Any] = {"epochs": 5, "batch_size": 4, "clip_norm": 1.0, "patience": None}
    return Training(**{**chosen, **changes})


def trained(task: Task, ctx: StageContext, asked: Training, *, patience_from: int = 0) -> Progress:
    progress = fit(task, ctx, asked, patience_from=patience_from)
    assert progress is not None
    return progress


def fresh(seed: int = 3, **kind: Any) -> Noisy:
    torch.manual_seed(seed)
    return Noisy(**kind)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0.0, atol=0.0)
