"""The global random generators: seeded for an epoch, and kept where a run is cut inside one."""

import random
from typing import Any

import numpy as np
import torch


def seed_generators(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators, those of all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def generators_state() -> dict[str, Any]:
    """Where all of them stand, as values that load without unpickling code."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": {
            "name": str(name),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Put them back to where they stood."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kept = state["numpy"]
    keys = kept["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state((kept["name"], keys, kept["position"], kept["has_gauss"], kept["gauss"]))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"]:
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
