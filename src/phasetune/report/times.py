"""How long a trial takes alone, in minutes: what it shared with others counted in full."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from phasetune.store.artifacts import Artifact


def minutes(chain: Sequence[tuple[str, Artifact | None]]) -> dict[str, float]:
    """`<stage>_time_min` of each stage of a replicate, and `total_time_min` where all are done."""
    found = {
        f"{stage}_time_min": artifact.duration_seconds / 60.0
        for stage, artifact in chain
        if artifact is not None
    }
    return {**found, "total_time_min": sum(found.values())} if len(found) == len(chain) else found


def mean_minutes(replicates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over replicates of each time that all of them have."""
    shared = [name for name in replicates[0] if all(name in found for found in replicates)]
    return {name: fmean(found[name] for found in replicates) for name in shared}
