"""Torch's switches for equal bits on a GPU; a CPU with a fixed number of threads needs none."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import deterministic as torch_deterministic

from phasetune.stage.contract import StageContext

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_FIXED_WORKSPACE = ":4096:8"


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Every switch that torch has for this; `tf32` is for products and recurrent layers of fp32.

    Under `deterministic` an operation without such a way warns, or fails where not `warn_only`.
    `cudnn_benchmark` lets cuDNN time its algorithms, which may choose another one each time.
    """

    deterministic: bool
    warn_only: bool = True
    cudnn_benchmark: bool = False
    tf32: bool = False

    def set(self) -> None:
        """Set them for this process.

        cuBLAS and cuDNN's recurrent layers need a fixed workspace too, chosen before their first
        use (https://docs.pytorch.org/docs/stable/notes/randomness.html); it stays.
        """
        if self.deterministic:
            os.environ.setdefault(WORKSPACE, _FIXED_WORKSPACE)
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.warn_only)
        torch_deterministic.fill_uninitialized_memory = self.deterministic  # type: ignore[assignment]
        torch.backends.cudnn.deterministic = self.deterministic
        torch.backends.cudnn.benchmark = self.cudnn_benchmark
        for backend in _fp32_backends():
            backend.fp32_precision = "tf32" if self.tf32 else "ieee"


@contextmanager
def torch_switches(ctx: StageContext) -> Iterator[None]:
    """Within the block torch's switches are as the study's numerics ask; then as they were.

    Attention's fused kernels are left out on a GPU under `deterministic`: told only to warn, they
    would not take their deterministic way.
    """
    switches = Switches(
        deterministic=ctx.deterministic,
        warn_only=ctx.warn_only,
        cudnn_benchmark=ctx.cudnn_benchmark,
        tf32=ctx.tf32,
    )
    with _restored(), _plain_attention(ctx.deterministic and ctx.device == "cuda"):
        switches.set()
        yield


@contextmanager
def _restored() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch_deterministic.fill_uninitialized_memory
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    precisions = [(backend, backend.fp32_precision) for backend in _fp32_backends()]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch_deterministic.fill_uninitialized_memory = fill
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        for backend, precision in precisions:
            backend.fp32_precision = precision


def _fp32_backends() -> tuple[Any, ...]:
    return (
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,
        torch.backends.cudnn.rnn,
    )


def _plain_attention(is_asked: bool) -> AbstractContextManager[Any]:
    return sdpa_kernel(SDPBackend.MATH) if is_asked else nullcontext()
