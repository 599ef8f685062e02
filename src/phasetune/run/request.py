"""What a process needs to execute one run: plain values, the same for both backends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from phasetune.plan.trial import Run
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
    mirror of, None where it is a folder that every worker sees.
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

    def here(self) -> Self:
        """The same on this machine, where the results at a URI have a mirror of their own.

        Raises:
            StoreError: the URI can't be reached from here.
        """
        if self.uri is None:
            return self
        results = open_mirror(self.uri).root
        attempt = results / self.attempt.relative_to(self.results)
        return replace(self, results=results, attempt=attempt)

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
