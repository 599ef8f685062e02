"""What a fit loop trains: the part that a workload writes."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from phasetune.train.batches import Batches

Batch = tuple[Tensor, ...]


class Task(Protocol):
    """What is trained, on which rows, by which loss."""

    is_splittable: bool
    """Whether the loss is a mean over rows, so that a batch may be computed in parts."""

    @property
    def model(self) -> nn.Module:
        """What is trained; its whole state is what a checkpoint and the best weights keep."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Over the model's parameters; `initial_lr` of each group is its base rate."""

    @property
    def batches(self) -> Batches:
        """The rows that an epoch goes over, shuffled anew for each."""

    def begin_epoch(self, epoch: int, /) -> None:
        """Set modes and what is frozen; `epoch` counts from 1."""

    def loss(self, batch: Batch) -> Tensor:
        """The mean loss of a batch, with a gradient; its tensors have rows along dimension 0."""

    def validate(self) -> Mapping[str, float]:
        """Metrics of the model as it is, `val_loss` among them."""
