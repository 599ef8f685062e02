"""What runs cost so far, as the store knows it: for estimates, never for identities."""

import json
from collections.abc import Iterator
from itertools import islice
from statistics import fmean
from typing import Any

from phasetune.store.artifacts import MANIFEST, ArtifactStore

_MOST = 200


def mean_seconds(
    store: ArtifactStore, stage: str, function: str, *, per: str | None = None
) -> float | None:
    """The mean duration of stored runs of a stage's function, up to 200 of them; None for none.

    With `per`, the mean of one step: that parameter is how many steps a run has.
    """
    found = list(islice(_runs(store, stage, function), _MOST))
    if not found:
        return None
    seconds = [float(manifest["provenance"]["duration_seconds"]) for manifest in found]
    if per is None:
        return fmean(seconds)
    steps = sum(int(manifest["run"]["params"].get(f"{stage}.{per}", 0)) for manifest in found)
    return sum(seconds) / steps if steps else None


def _runs(store: ArtifactStore, stage: str, function: str) -> Iterator[dict[str, Any]]:
    for path in sorted((store.root / stage).glob(f"[0-9a-f]*/{MANIFEST}")):
        try:
            manifest = json.loads(path.read_bytes())
            run = manifest["run"]
            if run["function"] == function and run.get("trunk_step") is None:
                yield manifest
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
