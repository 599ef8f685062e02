"""What becomes of a call that ended well: an artifact, with a record of how it came about."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.run.calls import Call
from phasetune.run.context import RunContext
from phasetune.run.request import RunRequest
from phasetune.stage.resolve import ResolvedWorkload
from phasetune.store.artifacts import Artifact, ArtifactStore


def publish(
    call: Call,
    request: RunRequest,
    store: ArtifactStore,
    draft: Path,
    context: RunContext,
    metrics: Mapping[str, float],
    workload: ResolvedWorkload,
    spent: Mapping[str, Any],
) -> Artifact:
    """Publish what a call left under its key.

    Raises:
        StoreError: it can't be written.
    """
    record = {
        "environment": context.environment,
        "run": _run(call, request, workload),
        "provenance": {
            "study": request.study,
            "attempt": request.attempt.name,
            "duration_seconds": context.elapsed_seconds,
            "spent_seconds": max(0.0, context.elapsed_seconds - call.inherited_seconds),
            "resumed": call.resumes is not None,
            "host": socket.gethostname(),
            "notes": list(context.notes),
            "is_exact": context.is_exact,
            **spent,
        },
    }
    return store.publish(
        draft,
        stage=request.run.stage,
        key=call.key,
        metrics=metrics,
        history=context.history,
        record=record,
    )


def _run(call: Call, request: RunRequest, workload: ResolvedWorkload) -> dict[str, Any]:
    run = request.run
    return {
        "params": dict(run.params),
        "seed": run.seed,
        "fold": None if run.fold is None else [run.fold.index, run.fold.of],
        "parent": run.parent,
        "function": run.function,
        "code": request.workload.code,
        "exports": list(workload.stage(run.stage).exports) if call.is_last else [],
        "trunk": None if run.trunk is None else {"id": run.trunk.id, "step": run.trunk.step},
        "trunk_step": None if call.trunk is None else call.trunk.until,
    }
