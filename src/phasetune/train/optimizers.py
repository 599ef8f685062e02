"""Torch's own optimizers, over groups with rates of their own and no decay of biases and norms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from phasetune.errors import StageError
from phasetune.train.settings import Training

Group = dict[str, Any]
_FUSED = ("cpu", "cuda")


def parameter_groups(
    parts: Sequence[tuple[nn.Module, float]], *, weight_decay: float
) -> list[Group]:
    """Two groups for each module and its learning rate: weights, which decay, and the rest.

    Norms, and what has fewer than two dimensions such as biases, do not decay (Loshchilov and
    Hutter 2019, "Decoupled weight decay regularization", for decay; leaving these out is common
    practice, as in GPT-2's training). Frozen parameters are in: they may thaw.

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
        norms = _of_norms(module)
        for decays in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1 and id(p) not in norms) == decays]
            if chosen:
                groups.append(_group(chosen, rate, weight_decay if decays else 0.0))
    return groups


def _of_norms(module: nn.Module) -> set[int]:
    """A layer norm over several dimensions has a scale of as many."""
    norms = [part for part in module.modules() if isinstance(part, nn.LayerNorm | nn.RMSNorm)]
    return {id(parameter) for norm in norms for parameter in norm.parameters()}


def _group(parameters: list[nn.Parameter], rate: float, weight_decay: float) -> Group:
    return {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": weight_decay}


def make_optimizer(
    groups: list[Group], training: Training, *, device: torch.device
) -> torch.optim.Optimizer:
    """`adamw`, `adam` or `sgd` (with momentum) as torch has them, fused where the device can."""
    fused = device.type in _FUSED
    if training.optimizer == "sgd":
        return _sgd(groups, training, fused=fused)
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[training.optimizer]
    optimizer: torch.optim.Optimizer = kind(groups, lr=training.learning_rate, fused=fused)
    return optimizer


def _sgd(groups: list[Group], training: Training, *, fused: bool) -> torch.optim.Optimizer:
    """Its momentum begins at zero, which makes of a first step what torch makes of it.

    Left to torch, a fused one would take memory as it was found for the momentum of a first step
    that is skipped, and fail where a part of a group thaws.
    """
    momentum = training.momentum
    optimizer = torch.optim.SGD(groups, lr=training.learning_rate, momentum=momentum, fused=fused)
    for group in optimizer.param_groups if momentum else ():
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to its base rate times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
