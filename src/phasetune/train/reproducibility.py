"""Reproducibility for those who train by themselves: all seeds at once, and what they control.

Inside a study nothing of this needs to be called: runs are seeded and switched by the runner.
"""

import os
from typing import Any

from phasetune.errors import StageError

_LARGEST = 2**32


def set_seed(seed: int, *, deterministic: bool = True) -> None:
    """Seed Python's, numpy's and torch's generators on all devices, and set torch's switches.

    `deterministic` gives equal bits on a GPU, and is slower there; without it torch may choose
    what is fastest. TF32 and cuDNN's benchmark are off either way. Python's hashing of text can't
    be seeded in a running process: set PYTHONHASHSEED before it starts where the order of sets
    matters.

    Raises:
        StageError: the seed is not in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _LARGEST:
        raise StageError(f"seed must be a whole number from 0 to {_LARGEST - 1}, but is {seed!r}")
    import torch

    from phasetune.train.determinism import Switches, allow_fused_attention
    from phasetune.train.generators import seed_generators

    seed_generators(seed)
    Switches(deterministic=deterministic).set()
    if torch.cuda.is_available():
        allow_fused_attention(not deterministic)


def describe_reproducibility() -> str:
    """What is controlled, how each switch stands in this process, and what no switch controls."""
    import torch

    from phasetune.train.determinism import WORKSPACE

    backends: Any = torch.backends
    switches = {
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn instead of failing": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cuDNN deterministic": backends.cudnn.deterministic,
        "cuDNN benchmark": backends.cudnn.benchmark,
        "TF32 in matrix products": backends.cuda.matmul.fp32_precision == "tf32",
        "TF32 in convolutions": backends.cudnn.conv.fp32_precision == "tf32",
        "TF32 in recurrent layers": backends.cudnn.rnn.fp32_precision == "tf32",
        "fused attention on a GPU": backends.cuda.flash_sdp_enabled(),
        WORKSPACE: os.environ.get(WORKSPACE, "unset"),
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "unset"),
        "torch threads": torch.get_num_threads(),
    }
    shown = [f"  {name}: {_shown(value)}" for name, value in switches.items()]
    return "\n".join([*_CONTROLLED, "Switches of this process:", *shown, *_LIMITS])


def _shown(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


_CONTROLLED = [
    "Seeded: Python's random, numpy, torch on the CPU and on every GPU. In a study each epoch has",
    "streams of its own, named by seed and epoch, so a run that was cut draws what it would have.",
]
_LIMITS = [
    "Equal bits need the same kind of device, torch version, number of threads and precision;",
    "a study keeps these with every artifact as its environment class.",
    "No switch helps where an operation has no deterministic way (torch names it in a warning),",
    "or where the clock or free memory has a say: time limits, and batches cut for want of memory.",
    "A DataLoader's workers do no harm: rows are drawn under seeds of their own.",
]
