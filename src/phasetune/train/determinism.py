"""Torch's switches for equal bits on a GPU; a CPU with a fixed number of threads needs none."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def deterministic_torch(is_asked: bool, *, device: str) -> Iterator[None]:
    """Within the block, operations that have a deterministic way take it; others warn.

    cuBLAS and cuDNN's recurrent layers need a fixed workspace too, chosen before their first use
    (https://docs.pytorch.org/docs/stable/notes/randomness.html). Attention's fused kernels are
    left out on a GPU: told only to warn, they would not take their deterministic way.
    """
    if is_asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(is_asked, warn_only=True)
    torch.backends.cudnn.benchmark = not is_asked
    try:
        with _plain_attention(is_asked and device == "cuda"):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.benchmark = benchmark


def _plain_attention(is_asked: bool) -> AbstractContextManager[Any]:
    return sdpa_kernel(SDPBackend.MATH) if is_asked else nullcontext()
