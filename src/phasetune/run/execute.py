"""Execute one run in this process: resolve, verify, call the stage, publish or record the failure.

Whatever the workload raises becomes a record; only the death of the process is a failure for the
backend. What the runner itself can't do (a full disk, a study changed under its feet) flies.
"""

import gc
import os
import socket
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasetune.errors import StageError
from phasetune.run.checkpoints import newest_checkpoint
from phasetune.run.context import Channel, RunContext, RunStopped, Watchdog, checked_metrics
from phasetune.run.machine import limited_threads, resolved_precision, seed_everything
from phasetune.run.request import RunRequest, RunState, WorkloadRequest
from phasetune.stage.canonical import canonical_json
from phasetune.stage.resolve import ResolvedWorkload, resolve_function, resolve_workload
from phasetune.store.artifacts import FILES, Artifact, ArtifactStore
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.provenance import environment_class
from phasetune.study.parameters import typed_settings

_loaded_data: dict[str, Any] = {}


def execute(request: RunRequest, channel: Channel, *, device: str, has_watchdog: bool) -> RunState:
    """Execute a run.

    Returns:
        DONE when its artifact is published, FAILED when its failure is recorded, STOPPED when it
        ended early because the driver asked.

    Raises:
        StoreError: the artifact or the record can't be written.
    """
    run, store = request.run, ArtifactStore(request.paths.store)
    if store.get(run.stage, run.key) is not None:
        return RunState.DONE
    watchdog = Watchdog(request.stall_timeout_seconds if has_watchdog else None, request.stall_file)
    started = datetime.now(UTC)
    with store.draft(run.stage, run.key, f"{request.attempt.name}-{os.getpid()}") as draft:
        try:
            with limited_threads(request.workload.numerics.threads):
                workload = _workload(request.workload)
                context = _context(request, workload, draft, channel, device, watchdog)
                metrics = _call(request, workload, context)
        except RunStopped:
            return RunState.STOPPED
        except (Exception, SystemExit) as error:
            _record_failure(request, error)
            return RunState.FAILED
        finally:
            gc.collect()
        if metrics is None:
            return RunState.STOPPED
        _publish(request, store, draft, context, metrics, started)
    return RunState.DONE


def _context(
    request: RunRequest,
    workload: ResolvedWorkload,
    draft: Path,
    channel: Channel,
    device: str,
    watchdog: Watchdog,
) -> RunContext:
    run, numerics = request.run, request.workload.numerics
    context = RunContext(
        data=_data(request.workload, workload),
        seed=run.seed,
        fold=run.fold,
        device=device,
        threads=numerics.threads,
        precision=resolved_precision(numerics.precision, device),
        deterministic=numerics.deterministic,
        parent=_parent(request),
        output=draft / FILES,
        resumed=None,
        key=run.key,
        channel=channel,
        watchdog=watchdog,
    )
    checkpoint = newest_checkpoint(request.study_paths.checkpoints(run.stage, run.key), key=run.key)
    if checkpoint is not None:
        context.go_on_from(checkpoint)
    return context


def _workload(request: WorkloadRequest) -> ResolvedWorkload:
    workload = resolve_workload(request.path, sources=request.sources, folders=request.folders)
    if workload.code != request.code:
        raise StageError(
            f"the sources of {request.path!r} are others here than where the study was planned "
            f"({workload.code} instead of {request.code}); bring them in line and run again"
        )
    return workload


def _data(request: WorkloadRequest, workload: ResolvedWorkload) -> Any:
    """One data object per process, so that what it loads and caches serves all its runs."""
    key = canonical_json([workload.path, workload.code, request.data])
    if key not in _loaded_data:
        _loaded_data.clear()
        _loaded_data[key] = workload.data_type.model_validate(request.data)
    return _loaded_data[key]


def _parent(request: RunRequest) -> Path | None:
    if request.run.parent is None or request.parent_stage is None:
        return None
    store = ArtifactStore(request.paths.store)
    parent = store.get(request.parent_stage, request.run.parent)
    if parent is None:
        raise StageError(f"the artifact {request.parent_stage}/{request.run.parent} is not there")
    parent.verify()
    return parent.files


def _call(
    request: RunRequest, workload: ResolvedWorkload, context: RunContext
) -> dict[str, float] | None:
    """The stage's final metrics; None where it saw that an end was asked for and returned."""
    stage = workload.stage(request.run.stage)
    params = typed_settings([stage], request.run.params)[stage.name]
    function = resolve_function(request.run.function)
    seed_everything(request.run.seed)
    with context.watchdog.watching():
        returned = function(context, params)
    if context.saw_stop:
        return None
    return checked_metrics(returned, source=f"stage {stage.name!r}")


def _publish(
    request: RunRequest,
    store: ArtifactStore,
    draft: Path,
    context: RunContext,
    metrics: dict[str, float],
    started: datetime,
) -> Artifact:
    run, numerics = request.run, request.workload.numerics
    record = {
        "environment": environment_class(
            device=context.device, precision=context.precision, threads=numerics.threads
        ),
        "run": {
            "params": dict(run.params),
            "seed": run.seed,
            "fold": None if run.fold is None else [run.fold.index, run.fold.of],
            "parent": run.parent,
            "function": run.function,
            "code": request.workload.code,
        },
        "provenance": {
            "study": request.study,
            "attempt": request.attempt.name,
            "started": started.isoformat(timespec="seconds"),
            "duration_seconds": context.elapsed_seconds,
            "resumed": context.resumed is not None,
            "host": socket.gethostname(),
        },
    }
    return store.publish(
        draft,
        stage=run.stage,
        key=run.key,
        metrics=metrics,
        history=context.history,
        record=record,
    )


def _record_failure(request: RunRequest, error: BaseException) -> None:
    message = traceback.format_exception_only(error)[-1].strip()
    FailureStore(request.paths.store).put(
        Failure(
            stage=request.run.stage,
            key=request.run.key,
            cause="error",
            message=" ".join(message.split())[:500],
        ),
        "".join(traceback.format_exception(error)),
    )
