"""Torch's own optimizers, over groups with rates of their own and no decay of biases and norms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from phasetune.errors import StageError
from phasetune.train.settings import Training

Group = dict[str, Any]
_FUSED = ("cpu", "cuda")


def parameter_groups(
    parts: Sequence[tuple[nn.Module, float]], *, weight_decay: float
) -> list[Group]:
    """Two groups for each module and its learning rate: weights, which decay, and the rest.

    What has fewer than two dimensions, biases and the scales of norms, does not decay (Loshchilov
    and Hutter 2019, "Decoupled weight decay regularization", for decay; leaving these out is
    common practice, as in GPT-2's training). Frozen parameters are in: they may thaw.

    Raises:
        StageError: a parameter is in two modules.
    """
    seen: set[int] = set()
    groups: list[Group] = []
    for module, rate in parts:
        parameters = list(module.parameters())
        if seen & {id(parameter) for parameter in parameters}:
            raise StageError("a parameter stands in two groups, which would train it twice")
        seen |= {id(parameter) for parameter in parameters}
        for decays in (True, False):
            chosen = [parameter for parameter in parameters if (parameter.ndim > 1) == decays]
            if chosen:
                groups.append(_group(chosen, rate, weight_decay if decays else 0.0))
    return groups


def _group(parameters: list[Tensor], rate: float, weight_decay: float) -> Group:
    return {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": weight_decay}


def make_optimizer(
    groups: list[Group], training: Training, *, device: torch.device
) -> torch.optim.Optimizer:
    """`adamw`, `adam` or `sgd` (with momentum) as torch has them, fused where the device can."""
    fused = device.type in _FUSED
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=training.learning_rate, momentum=training.momentum, fused=fused
        )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[training.optimizer]
    return kind(groups, lr=training.learning_rate, fused=fused)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to its base rate times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
