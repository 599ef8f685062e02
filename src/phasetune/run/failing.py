"""Records of runs that failed: one line that becomes part of the report, and the whole traceback.

What the storage does to a run is no failure of the run: with room again, or when it answers again,
the run is simply tried again.

A trunk that failed is recorded under its own key too: whichever run branches off at that step or
later would fail in the same way, and does so at once.
"""

import errno
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.run.context import NotKeptError, RunContext
from phasetune.run.request import RunRequest
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.masking import masked

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def refuse_without_disk(request: RunRequest, error: BaseException) -> None:
    """Let an error fly that comes from a disk that is full, read-only or broken, or from a storage
    that took no checkpoint.

    Raises:
        StoreError: it does; the message says what to type.
    """
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, NotKeptError):
            raise StoreError(
                f"{request.label}: {cause}; nothing is held against the run: run again"
            ) from error
        if isinstance(cause, OSError) and cause.errno in _OF_THE_DISK:
            where = "" if cause.filename is None else f" at {cause.filename}"
            raise StoreError(
                f"{request.label}: {cause.strerror}{where}; nothing is held against the run: make "
                f"room, for one with `phasetune gc {request.paths.shown}`, and run again"
            ) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def record_failure(
    request: RunRequest,
    context: RunContext,
    error: BaseException,
    resources: Mapping[str, float],
    *,
    is_trunk: bool,
) -> None:
    """Record that a run failed, and under the trunk's key where it was on its trunk."""
    run, failures = request.run, FailureStore(request.paths.store)
    failure = Failure(
        stage=run.stage, key=run.key, cause="error", message=_message(error, request, context)
    )
    spent = {"seconds": round(context.elapsed_seconds, 3), **resources}
    told = ", ".join(f"{name} {value:g}" for name, value in spent.items())
    trace = "".join(traceback.format_exception(error)) + f"\nuntil then: {told}\n"
    failures.put(failure, trace)
    if is_trunk and run.trunk is not None:
        failures.put(replace(failure, key=run.trunk.key), trace)


def failed_trunk(request: RunRequest) -> bool:
    """Whether the run's trunk failed before; then that is recorded as the run's own failure."""
    run, failures = request.run, FailureStore(request.paths.store)
    if run.trunk is None:
        return False
    failure = failures.of_trunk(run.stage, run.trunk.id, most_step=run.trunk.step)
    if failure is None:
        return False
    trace = _text(failures.traceback(run.stage, failure.key))
    failures.put(replace(failure, key=run.key), trace)
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return "its traceback is gone\n"


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
    return masked(shown)[:500].encode(errors="backslashreplace").decode()
