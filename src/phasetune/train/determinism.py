"""Torch's switches for equal bits on a GPU; a CPU with a fixed number of threads needs none."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

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
        _memory().fill_uninitialized_memory = self.deterministic
        torch.backends.cudnn.deterministic = self.deterministic
        torch.backends.cudnn.benchmark = self.cudnn_benchmark
        for backend in _fp32_backends():
            backend.fp32_precision = "tf32" if self.tf32 else "ieee"


def allow_fused_attention(is_allowed: bool) -> None:
    """Allow or leave out, for this process, attention's fused kernels: told only to warn, these
    would not take their deterministic way.
    """
    cuda = torch.backends.cuda
    for enable in (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_cudnn_sdp):
        enable(is_allowed)


@contextmanager
def torch_switches(ctx: StageContext) -> Iterator[None]:
    """Within the block torch's switches are as the study's numerics ask; then as they were.

    Attention's fused kernels are left out on a GPU under `deterministic`, as
    `allow_fused_attention` says.
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
    fill = _memory().fill_uninitialized_memory
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    precisions = [(backend, backend.fp32_precision) for backend in _fp32_backends()]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        _memory().fill_uninitialized_memory = fill
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        for backend, precision in precisions:
            backend.fp32_precision = precision


def _memory() -> Any:  # torch gives these switches no types
    return torch.utils.deterministic


def _fp32_backends() -> tuple[Any, ...]:
    backends: Any = torch.backends
    return (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)


def _plain_attention(is_asked: bool) -> AbstractContextManager[Any]:
    return sdpa_kernel(SDPBackend.MATH) if is_asked else nullcontext()
