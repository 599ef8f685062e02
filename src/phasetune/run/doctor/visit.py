"""What this machine offers a study, and what is wrong with it: facts, and sentences with a way out.

Each part is asked on its own, so that a broken one hides no other. Nothing is made or changed.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.run.cgroups import cgroup_limits
from phasetune.run.devices import are_gpus_hidden, memory, processor
from phasetune.run.doctor.cluster import cluster_part
from phasetune.run.doctor.disks import disk_part
from phasetune.run.doctor.examine import gpu_part, ray_part, torch_part
from phasetune.run.doctor.part import Part, together
from phasetune.run.doctor.tracking_store import TrackingState, ask_tracking_store
from phasetune.store.machine_folder import machine_folder
from phasetune.store.paths import ResultsPaths, results_as_typed
from phasetune.store.provenance import software
from phasetune.train.loader import recommended_loader_settings


def doctor(
    results: str | Path = "results", tracking: str | None = None, address: str | None = None
) -> Mapping[str, Any]:
    """Look at all that a study needs of this machine, and of the cluster at an address.

    Args:
        results: where results lie, or would lie: a folder, or a URI, which is written to.
        tracking: the URI of an MLflow tracking store; by default that of MLFLOW_TRACKING_URI, else
            the file in the results.
        address: `auto` or HOST:PORT of a Ray cluster, which is joined for it.

    Returns:
        Plain values by part (`processor`, `memory`, `gpus`, `torch`, `versions`, `disks`, `ray`,
        `tracking`, `loader`; `cluster` with an address), sizes in bytes; `problems` and `warnings`,
        a sentence each; and `is_usable`, which is whether there is no problem.
    """
    limits, torch = cgroup_limits(), torch_part()
    cpu = processor(limits)
    parts = {
        "processor": Part(facts=asdict(cpu)),
        "memory": Part(facts=asdict(memory(limits))),
        "torch": torch,
        "gpus": gpu_part(torch.facts),
        "versions": Part(facts=_versions()),
        "disks": disk_part(results),
        "ray": ray_part(),
        "tracking": _tracking_part(tracking or _usual_store(results)),
        "loader": _loader_part(torch.facts, cpu.usable_cores),
    }
    if address is not None:
        parts["cluster"] = cluster_part(address, results)
    found = together(parts.items())
    return {
        **found.facts,
        "problems": list(found.problems),
        "warnings": list(found.warnings),
        "is_usable": not found.problems,
    }


def _versions() -> dict[str, str | None]:
    return {**software(), "mlflow": _version("mlflow")}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usual_store(results: str | Path) -> str:
    """Where a study is told to that names no store of its own."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    try:
        paths = results_as_typed(results)
    except StoreError:  # which is told with the disks
        paths = ResultsPaths(machine_folder())
    return f"sqlite:///{paths.mlflow}"


def _tracking_part(uri: str) -> Part:
    answer = ask_tracking_store(uri)
    facts = {"uri": answer.uri, "state": str(answer.state)}
    if answer.state is not TrackingState.SILENT:
        return Part(facts=facts)
    sentence = f"the tracking store {answer.uri} does not answer: {answer.reason}"
    return Part(facts=facts, warnings=(sentence,))


def _loader_part(torch: Mapping[str, Any], usable_cores: float) -> Part:
    device = "cuda" if torch.get("seen_gpus") and not are_gpus_hidden() else "cpu"
    settings = recommended_loader_settings(device=device, cpus=max(1, int(usable_cores)))
    return Part(facts={"device": device, **asdict(settings)})
