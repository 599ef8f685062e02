"""Torch's switches for equal bits on a GPU; a CPU with a fixed number of threads needs none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic_torch(is_asked: bool) -> Iterator[None]:
    """Within the block, operations that have a deterministic way take it; others warn.

    cuBLAS and cuDNN's recurrent layers need a fixed workspace too, chosen before their first use
    (https://docs.pytorch.org/docs/stable/notes/randomness.html).
    """
    if is_asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(is_asked, warn_only=True)
    torch.backends.cudnn.benchmark = not is_asked
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.benchmark = benchmark
