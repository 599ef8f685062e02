"""What runs in Ray's workers: one trainable that executes one job of a wave.

A job is a run, or the runs of one trunk one after the other: each goes on from what the one before
left of the trunk.
"""

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phasetune.errors import PhasetuneError
from phasetune.run.allocator import keep_heap
from phasetune.run.context import RunStopped
from phasetune.run.execute import execute
from phasetune.run.machine import device_for
from phasetune.run.ray.places import Place, request_at, this_place
from phasetune.run.ray.tries import Mark, Tries
from phasetune.run.request import RunRequest, RunState
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.failures import FailureStore
from phasetune.store.remote.mirror import is_there
from phasetune.store.workers import count_as_worker

STATE = "run_state"
KEY = "run_key"
REASON = "run_reason"
_POLL_SECONDS = 0.2
_POLL_SECONDS_AT_URI = 2.0
FOLDERS_PER_TRY = 10_000
_DISTINCT_TRIES = 100
TUNES_OWN = frozenset(
    {
        "config", "date", "done", "experiment_tag",
        "hostname", "iterations_since_restore", "node_ip", "pid",
        "should_checkpoint", "time_since_restore", "time_this_iter_s", "time_total_s",
        "timestamp", "timesteps_total", "training_iteration", "trial_id", "checkpoint_dir_name",
        STATE, KEY, REASON,
    }
)  # fmt: skip


def execute_in_worker(
    config: Mapping[str, Any], jobs: Sequence[Sequence[RunRequest]], max_failures: int
) -> None:
    """The trainable: executes `jobs[config["run"]["index"]]`, and reports each run's end.

    It returns normally whatever the workload does, and also where the runner itself can't go on:
    then the driver is told why and ends. So only the death of the worker is a failure for Tune,
    which starts the job again; runs that died too often are passed over then.
    """
    from ray import tune

    for position, request in enumerate(jobs[config["run"]["index"]]):
        end = _end_of(request, position, max_failures)
        tune.report({**end, KEY: request.run.key})
        if end[STATE] in (RunState.STOPPED, RunState.REFUSED):
            return


def _end_of(planned: RunRequest, position: int, max_failures: int) -> dict[str, Any]:
    place = this_place()
    try:
        request = request_at(place, planned)
        enter(request)
        tries = Tries(request, max_failures=max_failures)
        state = _execute(request, place, _TuneChannel(request, tries, position=position))
        return {**_final_metrics(request), STATE: str(state)}
    except PhasetuneError as error:
        return {STATE: str(RunState.REFUSED), REASON: str(error)}


def _execute(request: RunRequest, place: Place, channel: "_TuneChannel") -> RunState:
    if channel.stop_asked():
        return RunState.STOPPED
    if not _is_done(request) and (_has_failed(request) or not channel.begin(place)):
        return RunState.FAILED if _has_failed(request) else RunState.STOPPED
    granted = replace(request, gpu_part=_granted_part())
    return execute(granted, channel, device=device_for(_granted_gpus()), is_worker=True)


def _is_done(request: RunRequest) -> bool:
    return ArtifactStore(request.paths.store).get(request.run.stage, request.run.key) is not None


def _has_failed(request: RunRequest) -> bool:
    """Whether it failed before the worker died with a later run."""
    return FailureStore(request.paths.store).get(request.run.stage, request.run.key) is not None


def enter(request: RunRequest) -> None:
    """Make this process a worker of a run's study."""
    # else each checkpoint is news to Ray, and a line in the log of what the run prints
    logging.getLogger("ray").setLevel(logging.WARNING)
    folder = request.workload.working_directory
    if Path(folder).is_dir():
        os.chdir(folder)
    request.attempt.mkdir(parents=True, exist_ok=True)
    count_as_worker(request.study_paths)
    if not _granted_gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        keep_heap()


def _granted_gpus() -> int:
    import ray

    return len(ray.get_gpu_ids())


def _granted_part() -> float:
    """Of one GPU, where a part of it was granted; else 1."""
    import ray

    granted = ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0)
    return float(granted) if 0 < granted < 1 else 1.0


def _final_metrics(request: RunRequest) -> dict[str, float]:
    found = ArtifactStore(request.paths.store).get(request.run.stage, request.run.key)
    return {} if found is None else flat_for_tune(found.metrics)


def flat_for_tune(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics under names that Tune does not use itself."""
    return {
        f"metric_{name}" if name in TUNES_OWN else name: value for name, value in metrics.items()
    }


class _TuneChannel:
    """Reports to Tune; is asked to stop by a file, which works wherever the storage is seen."""

    def __init__(self, request: RunRequest, tries: Tries, *, position: int) -> None:
        self._key = request.run.key
        self._tries = tries
        self._position = position
        self._mark: Mark | None = None
        self._stop_file = request.stop_file
        self._poll_seconds = _POLL_SECONDS if request.uri is None else _POLL_SECONDS_AT_URI
        self._asked = False
        self._looked_at = -math.inf

    def begin(self, place: Place) -> bool:
        """Begin a try, where there is one left and this worker was not given up."""
        self._mark = self._tries.begin(place)
        if self._mark is not None:
            _number_apart(self._mark, position=self._position)
        return self._mark is not None

    def stop_asked(self) -> bool:
        now = time.monotonic()
        if not self._asked and now - self._looked_at > self._poll_seconds:
            self._looked_at = now
            self._asked = is_there(self._stop_file)
        return self._asked

    def is_superseded(self) -> bool:
        return self._mark is not None and not self._tries.is_newest(self._mark)

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        from ray import tune

        if checkpoint is not None and self.is_superseded():
            raise RunStopped
        kept = None if checkpoint is None else tune.Checkpoint.from_directory(str(checkpoint))
        tune.report({**flat_for_tune(row), KEY: self._key}, checkpoint=kept)


def _number_apart(mark: Mark, *, position: int) -> None:
    """Let Tune's names for the checkpoints of this try, of the run at a position of its job, be
    none that another try may use still.

    A worker that begins a job anew counts on from as many as the driver heard of, and writes into
    the folder that is there.
    """
    from ray.train._internal.session import get_session

    storage, tried = get_session().storage, (mark.number - 1) % _DISTINCT_TRIES
    first = (position * _DISTINCT_TRIES + tried) * FOLDERS_PER_TRY
    # Tune counts one on before each checkpoint
    storage.current_checkpoint_index = max(storage.current_checkpoint_index, first - 1)
