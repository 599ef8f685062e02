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

    def autocast(self) -> AbstractContextManager[Any]:
        """Within the block, operations run in the precision that suits them."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)

    def step(
        self, loss: Tensor, optimizer: torch.optim.Optimizer, model: nn.Module, *, clip_norm: float
    ) -> None:
        """Backward, clip the norm of all gradients to `clip_norm`, step."""
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._scaler.load_state_dict(state)
