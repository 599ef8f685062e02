"""Execute one run in this process: resolve, verify, call the stage, publish or record the failure.

Whatever the workload raises becomes a record; only the death of the process is a failure for the
backend. What the runner itself can't do (a full disk, a study changed under its feet) flies. A run
that branches off a trunk first makes the trunk up to there, where it is not stored.
"""

import gc
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasetune.errors import StageError, StoreError
from phasetune.run.calls import Call, bring_checkpoints, first_call, second_call, whole_call
from phasetune.run.context import Channel, RunContext, RunStopped, checked_metrics
from phasetune.run.failing import failed_trunk, record_failure, refuse_without_disk
from phasetune.run.gpu_memory import limited_gpu_memory
from phasetune.run.gpu_use import GpuUse
from phasetune.run.logs import logged
from phasetune.run.machine import (
    clean_up,
    limited_threads,
    load_libraries,
    resolved_precision,
    seed_everything,
)
from phasetune.run.memory import PeakMemory
from phasetune.run.publish import publish
from phasetune.run.request import RunRequest, RunState, WorkloadRequest
from phasetune.run.sharing import SharedLog, SharingChannel
from phasetune.run.watchdog import Watchdog
from phasetune.stage.canonical import canonical_json
from phasetune.stage.contract import Stage
from phasetune.stage.resolve import ResolvedWorkload, resolve_function, resolve_workload
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.provenance import environment_class
from phasetune.study.parameters import typed_settings

_loaded_data: dict[str, Any] = {}


def execute(request: RunRequest, channel: Channel, *, device: str, is_worker: bool) -> RunState:
    """Execute a run, with what it prints in its log.

    A worker is there for runs alone: its watchdog may end it, and its standard descriptors are the
    run's.

    Returns:
        DONE when its artifact is published, FAILED when its failure is recorded, STOPPED when it
        ended early because the driver asked.

    Raises:
        StoreError: the artifact or the record can't be written, the parent's artifact is not what
            was published, or the sources are not those that the study was planned with.
    """
    store = ArtifactStore(request.paths.store)
    if store.get(request.run.stage, request.run.key) is not None:
        return RunState.DONE
    if failed_trunk(request):
        return RunState.FAILED
    path = request.study_paths.run_log(request.run.stage, request.run.key)
    log = SharedLog(path)
    with log.met(), logged(path, attempt=request.attempt.name, is_worker=is_worker):
        shares = SharingChannel(channel, log)
        return _execute(request, store, shares, device=device, has_watchdog=is_worker)


def _execute(
    request: RunRequest, store: ArtifactStore, channel: Channel, *, device: str, has_watchdog: bool
) -> RunState:
    workload = _workload(request.workload)
    environment = _environment(request, device)
    with limited_threads(request.workload.numerics.threads):
        load_libraries(workload.imports)
        bring_checkpoints(request)
        call = first_call(request, store, environment)
        while True:
            seconds = request.stall_timeout_seconds if has_watchdog else None
            watchdog = Watchdog(seconds, request.stall_file)
            state = _execute_call(call, request, workload, store, channel, environment, watchdog)
            if state is not RunState.DONE or call.is_last:
                return state
            call = second_call(request, store, environment, before=call)


def rehearse(request: RunRequest, channel: Channel, *, device: str) -> None:
    """Execute a run from its begin until it ends, or its channel ends it, and keep nothing of it.

    Raises:
        Exception: whatever kept it from that.
    """
    workload, store = _workload(request.workload), ArtifactStore(request.paths.store)
    environment, watchdog = _environment(request, device), Watchdog(None, request.stall_file)
    call, name = whole_call(request), f"{request.attempt.name}-{uuid.uuid4().hex[:8]}"
    with limited_threads(request.workload.numerics.threads):
        load_libraries(workload.imports)
        with store.draft(request.run.stage, call.key, name) as draft, suppress(RunStopped):
            context = _context(call, request, workload, draft, channel, environment, watchdog)
            _call_stage(request, workload, context)


def _environment(request: RunRequest, device: str) -> dict[str, Any]:
    numerics = request.workload.numerics
    precision = resolved_precision(numerics.precision, device)
    return environment_class(device=device, precision=precision, threads=numerics.threads)


def forget_data() -> None:
    """Load data anew from here on: files may have changed since an earlier study."""
    _loaded_data.clear()


def _execute_call(
    call: Call,
    request: RunRequest,
    workload: ResolvedWorkload,
    store: ArtifactStore,
    channel: Channel,
    environment: Mapping[str, Any],
    watchdog: Watchdog,
) -> RunState:
    stage, device = request.run.stage, str(environment["device"])
    name = f"{request.attempt.name}-{uuid.uuid4().hex[:8]}"
    started = datetime.now(UTC)
    with store.draft(stage, call.key, name) as draft:
        context = _context(call, request, workload, draft, channel, environment, watchdog)
        memory = PeakMemory(device)
        with _cleaned_up(device), GpuUse(device) as gpu:
            try:
                metrics = _call_stage(request, workload, context)
            except RunStopped:
                return RunState.STOPPED
            except (Exception, SystemExit) as error:
                if channel.is_superseded():
                    return RunState.STOPPED
                refuse_without_disk(request, error)
                resources = {**memory.gib(), **gpu.percent()}
                record_failure(request, context, error, resources, is_trunk=not call.is_last)
                return RunState.FAILED
        if metrics is None or channel.is_superseded():
            return RunState.STOPPED
        resources = {**memory.gib(), **gpu.percent()}
        spent = {"started": started.isoformat(timespec="seconds"), **resources}
        publish(call, request, store, draft, context, metrics, workload, spent)
    return RunState.DONE


@contextmanager
def _cleaned_up(device: str) -> Iterator[None]:
    """Clean up after the block. What was there before it is not searched for garbage: in a process
    with torch, or with a large plan, that would take longer than a small run.
    """
    gc.freeze()
    try:
        yield
    finally:
        clean_up(device)
        gc.unfreeze()


def _context(
    call: Call,
    request: RunRequest,
    workload: ResolvedWorkload,
    draft: Path,
    channel: Channel,
    environment: Mapping[str, Any],
    watchdog: Watchdog,
) -> RunContext:
    run, numerics, parent = request.run, request.workload.numerics, _parent(request)
    context = RunContext(
        data=_data(request.workload, workload),
        seed=run.seed,
        fold=run.fold,
        device=str(environment["device"]),
        threads=numerics.threads,
        precision=str(environment["precision"]),
        tf32=numerics.tf32,
        deterministic=numerics.deterministic,
        warn_only=numerics.warn_only,
        cudnn_benchmark=numerics.cudnn_benchmark,
        parent=None if parent is None else parent.files,
        output=draft / "files",
        checkpoints=draft / "checkpoints",
        resumed=None,
        trunk=call.trunk,
        key=call.seal,
        environment=environment,
        channel=channel,
        watchdog=watchdog,
    )
    if call.begins is not None:
        context.begin_with(call.begins)
    if call.resumes is not None:
        context.go_on_from(call.resumes)
    for message in call.notes:
        context.note(message)
    if parent is not None and not parent.is_exact:
        context.note(f"the {parent.stage} that it came from is not exact", is_exact=False)
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


def _parent(request: RunRequest) -> Artifact | None:
    if request.run.parent is None or request.parent_stage is None:
        return None
    store = ArtifactStore(request.paths.store)
    parent = store.get(request.parent_stage, request.run.parent)
    if parent is None:
        raise StoreError(f"the artifact {request.parent_stage}/{request.run.parent} is not there")
    parent.verify()
    return parent


def _call_stage(
    request: RunRequest, workload: ResolvedWorkload, context: RunContext
) -> dict[str, float] | None:
    """The stage's final metrics; None where it saw that an end was asked for and returned."""
    stage = workload.stage(request.run.stage)
    params = typed_settings([stage], request.run.params)[stage.name]
    function = resolve_function(request.run.function)
    seed_everything(request.run.seed)
    limited = limited_gpu_memory(request.gpu_part, device=context.device)
    with context.watchdog.watching(), limited:
        returned = function(context, params)
    if context.saw_stop:
        return None
    _refuse_odd_files(context.output)
    if context.is_on_trunk:
        return {}
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
