"""What this machine offers a study, and what is wrong with it: facts, and sentences with a way out.

Each part is asked on its own, so that a broken one hides no other. Nothing is made or changed.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from phasetune.run.cgroups import cgroup_limits
from phasetune.run.devices import are_gpus_hidden, memory, processor
from phasetune.run.doctor.disks import disk_part
from phasetune.run.doctor.examine import gpu_part, ray_part, torch_part
from phasetune.run.doctor.part import Part, together
from phasetune.run.doctor.tracking_store import TrackingState, ask_tracking_store
from phasetune.store.paths import ResultsPaths
from phasetune.store.provenance import software
from phasetune.train.loader import recommended_loader_settings


def doctor(results: str | Path = "results", tracking: str | None = None) -> Mapping[str, Any]:
    """Look at all that a study needs of this machine.

    Args:
        results: where results lie, or would lie.
        tracking: the URI of an MLflow tracking store; by default that of MLFLOW_TRACKING_URI, else
            the file in the results.

    Returns:
        Plain values by part (`processor`, `memory`, `gpus`, `torch`, `versions`, `disks`, `ray`,
        `tracking`, `loader`), sizes in bytes; `problems` and `warnings`, a sentence each; and
        `is_usable`, which is whether there is no problem.
    """
    limits, torch = cgroup_limits(), torch_part()
    cpu = processor(limits)
    parts = {
        "processor": Part(facts=asdict(cpu)),
        "memory": Part(facts=asdict(memory(limits))),
        "torch": torch,
        "gpus": gpu_part(torch.facts),
        "versions": Part(facts=_versions()),
        "disks": disk_part(Path(results)),
        "ray": ray_part(),
        "tracking": _tracking_part(tracking or _usual_store(Path(results))),
        "loader": _loader_part(torch.facts, cpu.usable_cores),
    }
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


def _usual_store(results: Path) -> str:
    """Where a study is told to that names no store of its own."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ResultsPaths(results).mlflow}"


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
