"""What a process needs to execute one run: plain values, the same for both backends."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from phasetune.errors import StoreError
from phasetune.plan.trial import Run
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.durable import write_bytes
from phasetune.store.paths import ResultsPaths, StudyPaths, run_folder
from phasetune.store.remote.mirror import open_mirror
from phasetune.study.schema import Numerics


class RunState(StrEnum):
    """What is known of a run."""

    DONE = "done"
    FAILED = "failed"
    NOT_RUN = "not_run"
    PENDING = "pending"
    STOPPED = "stopped"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class WorkloadRequest:
    """The workload, its data block, and the sources that the driver planned with."""

    path: str
    sources: tuple[str, ...]
    folders: tuple[str, ...]
    code: str
    data: Mapping[str, Any]
    numerics: Numerics
    working_directory: str


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One run in one attempt. `label` and `point` are for people; `uri` is where `results` is the
    mirror of, None where it is a folder that every worker sees. `settings` are the parameters of
    its own and earlier stages that say how large it is; who executes it may take `gpu_part` of one
    GPU's memory.
    """

    run: Run
    parent_stage: str | None
    label: str
    point: Mapping[str, Any]
    workload: WorkloadRequest
    results: Path
    study: str
    attempt: Path
    stall_timeout_seconds: float | None
    uri: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    gpu_part: float = 1.0

    def here(self) -> Self:
        """The same on this machine, where the results at a URI have a mirror of their own, which
        may hold what another machine set aside since.

        Raises:
            StoreError: the URI can't be reached from here.
        """
        if self.uri is None:
            return self
        mirror = open_mirror(self.uri)
        attempt = mirror.root / self.attempt.relative_to(self.results)
        here = replace(self, results=mirror.root, attempt=attempt)
        mirror.refresh(ArtifactStore(here.paths.store).folder(self.run.stage, self.run.key))
        return here

    @property
    def paths(self) -> ResultsPaths:
        """The results root."""
        return ResultsPaths(self.results)

    @property
    def study_paths(self) -> StudyPaths:
        """The study's folder."""
        return self.paths.study(self.study)

    @property
    def folder(self) -> Path:
        """The folder of this run and the others of its trunk in its attempt."""
        return self.attempt / run_folder(self.run.stage, self.run.family)

    @property
    def stall_file(self) -> Path:
        """Where the watchdog leaves the traceback of a run that hangs."""
        return self.attempt / f"stalled-{run_folder(self.run.stage, self.run.family)}.txt"

    @property
    def stop_file(self) -> Path:
        """Its presence asks for a checkpoint and an end."""
        return self.attempt / "stop-requested"


def ask_workers(request: RunRequest, *, tell: Callable[[str], object]) -> threading.Thread | None:
    """Leave the request to stop where the workers of an attempt look for it; a signal may call it.

    The signal may come in the middle of anything, such as another upload, so a URI is left to a
    thread, which is returned: nothing that the one waits for is held by the other.
    """
    if request.uri is None:
        request.stop_file.touch()
        return None
    left = threading.Thread(target=_leave_request, args=(request.stop_file, tell), daemon=True)
    left.start()
    return left


def _leave_request(path: Path, tell: Callable[[str], object]) -> None:
    try:
        write_bytes(path, b"")
    except StoreError as error:
        tell(f"warning: runs on other machines were not asked to stop: {error}")
