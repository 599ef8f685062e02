"""Execute one run in this process: resolve, verify, call the stage, publish or record the failure.

Whatever the workload raises becomes a record; only the death of the process is a failure for the
backend. What the runner itself can't do (a full disk, a study changed under its feet) flies.
"""

import socket
import traceback
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasetune.errors import StageError, StoreError
from phasetune.run.checkpoints import newest_checkpoint
from phasetune.run.context import Channel, RunContext, RunStopped, Watchdog, checked_metrics
from phasetune.run.machine import (
    clean_up,
    limited_threads,
    load_generators,
    resolved_precision,
    seed_everything,
)
from phasetune.run.memory import PeakMemory
from phasetune.run.request import RunRequest, RunState, WorkloadRequest
from phasetune.stage.canonical import canonical_json
from phasetune.stage.contract import Stage
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
        StoreError: the artifact or the record can't be written, the parent's artifact is not what
            was published, or the sources are not those that the study was planned with.
    """
    run, store = request.run, ArtifactStore(request.paths.store)
    if store.get(run.stage, run.key) is not None:
        return RunState.DONE
    workload = _workload(request.workload)
    draft_name = f"{request.attempt.name}-{uuid.uuid4().hex[:8]}"
    started = datetime.now(UTC)
    with (
        limited_threads(request.workload.numerics.threads),
        store.draft(run.stage, run.key, draft_name) as draft,
    ):
        watchdog = Watchdog(
            request.stall_timeout_seconds if has_watchdog else None, request.stall_file
        )
        context = _context(request, workload, draft, channel, device, watchdog)
        memory = PeakMemory(device)
        try:
            metrics = _call(request, workload, context)
        except RunStopped:
            return RunState.STOPPED
        except (Exception, SystemExit) as error:
            _record_failure(request, context, error, memory.gib())
            return RunState.FAILED
        finally:
            clean_up(device)
        if metrics is None:
            return RunState.STOPPED
        provenance = {"started": started.isoformat(timespec="seconds"), **memory.gib()}
        _publish(request, store, draft, context, metrics, workload, provenance)
    return RunState.DONE


def forget_data() -> None:
    """Load data anew from here on: files may have changed since an earlier study."""
    _loaded_data.clear()


def _context(
    request: RunRequest,
    workload: ResolvedWorkload,
    draft: Path,
    channel: Channel,
    device: str,
    watchdog: Watchdog,
) -> RunContext:
    run, numerics = request.run, request.workload.numerics
    precision = resolved_precision(numerics.precision, device)
    context = RunContext(
        data=_data(request.workload, workload),
        seed=run.seed,
        fold=run.fold,
        device=device,
        threads=numerics.threads,
        precision=precision,
        deterministic=numerics.deterministic,
        parent=_parent(request),
        output=draft / FILES,
        resumed=None,
        key=run.key,
        environment=environment_class(device=device, precision=precision, threads=numerics.threads),
        channel=channel,
        watchdog=watchdog,
    )
    checkpoint = newest_checkpoint(
        request.study_paths.checkpoints(run.stage, run.key),
        key=run.key,
        environment=context.environment,
    )
    if checkpoint is not None:
        context.go_on_from(checkpoint)
    return context


def _workload(request: WorkloadRequest) -> ResolvedWorkload:
    workload = resolve_workload(request.path, sources=request.sources, folders=request.folders)
    if workload.code != request.code:
        raise StoreError(
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
        raise StoreError(f"the artifact {request.parent_stage}/{request.run.parent} is not there")
    parent.verify()
    return parent.files


def _call(
    request: RunRequest, workload: ResolvedWorkload, context: RunContext
) -> dict[str, float] | None:
    """The stage's final metrics; None where it saw that an end was asked for and returned."""
    stage = workload.stage(request.run.stage)
    params = typed_settings([stage], request.run.params)[stage.name]
    function = resolve_function(request.run.function)
    load_generators(workload.imports)
    seed_everything(request.run.seed)
    with context.watchdog.watching():
        returned = function(context, params)
    if context.saw_stop:
        return None
    _refuse_odd_files(context.output)
    _refuse_missing_exports(stage, context.output)
    return checked_metrics(returned, source=f"stage {stage.name!r}")


def _refuse_odd_files(output: Path) -> None:
    for path in output.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            name = path.relative_to(output)
            raise StageError(f"output: {name} must be a plain file or folder, not a link or device")


def _refuse_missing_exports(stage: Stage, output: Path) -> None:
    missing = [name for name in stage.exports if not (output / name).is_file()]
    if missing:
        raise StageError(f"stage {stage.name!r} must leave the file {missing[0]}, which it exports")


def _publish(
    request: RunRequest,
    store: ArtifactStore,
    draft: Path,
    context: RunContext,
    metrics: dict[str, float],
    workload: ResolvedWorkload,
    provenance: dict[str, Any],
) -> Artifact:
    run = request.run
    record = {
        "environment": context.environment,
        "run": {
            "params": dict(run.params),
            "seed": run.seed,
            "fold": None if run.fold is None else [run.fold.index, run.fold.of],
            "parent": run.parent,
            "function": run.function,
            "code": request.workload.code,
            "exports": list(workload.stage(run.stage).exports),
        },
        "provenance": {
            "study": request.study,
            "attempt": request.attempt.name,
            "duration_seconds": context.elapsed_seconds,
            "resumed": context.resumed is not None,
            "host": socket.gethostname(),
            **provenance,
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


def _record_failure(
    request: RunRequest, context: RunContext, error: BaseException, memory: dict[str, float]
) -> None:
    failure = Failure(
        stage=request.run.stage,
        key=request.run.key,
        cause="error",
        message=_message(error, request, context),
    )
    spent = {"seconds": round(context.elapsed_seconds, 3), **memory}
    told = ", ".join(f"{name} {value:g}" for name, value in spent.items())
    trace = "".join(traceback.format_exception(error)) + f"\nuntil then: {told}\n"
    FailureStore(request.paths.store).put(failure, trace)


def _message(error: BaseException, request: RunRequest, context: RunContext) -> str:
    """One line, the same wherever and whenever the run failed: it becomes part of the report."""
    try:
        text = " ".join(str(error).split())
    except Exception as broken:  # a workload's own exception may not even print
        text = f"(its message can't be shown: {type(broken).__name__})"
    places = {context.output: "<output>", context.parent: "<parent>", request.results: "<results>"}
    for path, name in places.items():
        text = text if path is None else text.replace(str(path), name)
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return shown[:500].encode(errors="backslashreplace").decode()
