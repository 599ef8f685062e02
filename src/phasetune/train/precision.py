"""Mixed precision: what a run computes in, and how its optimizer steps."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """`fp32`, or autocast to `bf16` or `fp16`; fp16 scales gradients so that none vanish.

    Micikevicius et al. 2018, "Mixed precision training", section 3.2.
    """

    def __init__(self, device: torch.device, name: str) -> None:
        self._device = device
        self._dtype = _DTYPES.get(name)
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    @property
    def scales_gradients(self) -> bool:
        """Whether gradients that are not finite are met by a smaller scale: part of fp16."""
        return self._scaler.is_enabled()

    def autocast(self) -> AbstractContextManager[Any]:
        """Within the block, operations run in the precision that suits them."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those there are."""
        self._scaler.scale(loss).backward()

    def gradient_norm(self, optimizer: torch.optim.Optimizer) -> Tensor:
        """The norm of all gradients together, on the device, as they are without a scale."""
        self._scaler.unscale_(optimizer)
        gradients = [p.grad for p in _parameters(optimizer) if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def step(
        self, optimizer: torch.optim.Optimizer, norm: Tensor, *, clip_norm: float | None
    ) -> None:
        """Clip gradients of this norm to `clip_norm`, and step."""
        if clip_norm is not None:
            nn.utils.clip_grads_with_norm_(_parameters(optimizer), clip_norm, norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def skip_if(self, optimizer: torch.optim.Optimizer, flag: Tensor) -> None:
        """Let the next step of a fused optimizer leave the weights alone where `flag`, a boolean
        on the device, is True; nothing waits for the device. With a scale its own rule holds.
        """
        if not self.scales_gradients:
            vars(optimizer)["found_inf"] = flag.to(torch.float32)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._scaler.load_state_dict(state)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
