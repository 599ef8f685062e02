"""What runs cost so far, as the store knows it: for estimates, never for identities."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from phasetune.store.artifacts import CHECKPOINTS, MANIFEST, ArtifactStore
from phasetune.store.failures import FailureStore
from phasetune.store.space import size_bytes

_MOST = 200


@dataclass(frozen=True, kw_only=True)
class RunSize:
    """Mean bytes of stored runs: of their artifacts, and of the checkpoints kept beside them."""

    artifact: float
    checkpoints: float


def mean_seconds(
    store: ArtifactStore, stage: str, function: str, *, per: str | None = None
) -> float | None:
    """The mean duration of stored runs of a stage's function, up to 200 of them; None for none.

    With `per`, the mean of one step: that parameter is how many steps a run has.
    """
    found = [manifest for _, manifest in _runs(store, stage, function)]
    if not found:
        return None
    seconds = [float(manifest["provenance"]["duration_seconds"]) for manifest in found]
    if per is None:
        return fmean(seconds)
    steps = sum(int(manifest["run"]["params"].get(f"{stage}.{per}", 0)) for manifest in found)
    return sum(seconds) / steps if steps else None


def mean_size(store: ArtifactStore, stage: str, function: str) -> RunSize | None:
    """What stored runs of a stage's function take, in the mean of up to 200; None for none."""
    folders = [folder for folder, _ in _runs(store, stage, function)]
    if not folders:
        return None
    whole = fmean(size_bytes(folder) for folder in folders)
    beside = fmean(size_bytes(folder / CHECKPOINTS) for folder in folders)
    return RunSize(artifact=whole - beside, checkpoints=beside)


def runs_to_execute(
    plan: Mapping[str, Any], store: ArtifactStore, failures: FailureStore
) -> dict[tuple[str, str], str]:
    """Of a phase's plan as it is kept: (stage, key) of each run that is neither stored nor failed
    nor behind one that did, and its function.
    """
    chains = (replicate["runs"] for trial in plan["trials"] for replicate in trial["replicates"])
    found: dict[tuple[str, str], str] = {}
    for chain in chains:
        for run in chain:
            stage, key = run["stage"], run["key"]
            if store.has(stage, key):
                continue
            if failures.get(stage, key) is not None:
                break
            found[stage, key] = run["function"]
    return found


def _runs(store: ArtifactStore, stage: str, function: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and manifest of stored runs, trunks left out."""
    return islice(_all_runs(store, stage, function), _MOST)


def _all_runs(
    store: ArtifactStore, stage: str, function: str
) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((store.root / stage).glob(f"[0-9a-f]*/{MANIFEST}")):
        try:
            manifest = json.loads(path.read_bytes())
            run = manifest["run"]
            if run["function"] == function and run.get("trunk_step") is None:
                yield path.parent, manifest
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
