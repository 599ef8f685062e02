"""What runs in Ray's workers: one trainable that executes one job of a wave.

A job is a run, or the runs of one trunk one after the other: each goes on from what the one before
left of the trunk.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phasetune.errors import PhasetuneError
from phasetune.run.allocator import keep_heap
from phasetune.run.execute import execute
from phasetune.run.machine import device_for
from phasetune.run.ray.tries import Tries
from phasetune.run.request import RunRequest, RunState
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.failures import FailureStore
from phasetune.store.workers import count_as_worker

STATE = "run_state"
KEY = "run_key"
REASON = "run_reason"
_POLL_SECONDS = 0.2
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

    for planned in jobs[config["run"]["index"]]:
        request = planned.here()
        _enter(request)
        end = _end_of(request, max_failures)
        tune.report({**end, KEY: request.run.key})
        if end[STATE] in (RunState.STOPPED, RunState.REFUSED):
            return


def _end_of(request: RunRequest, max_failures: int) -> dict[str, Any]:
    channel = _TuneChannel(request)
    if channel.stop_asked():
        return {STATE: str(RunState.STOPPED)}
    try:
        if _has_failed(request, max_failures):
            return {STATE: str(RunState.FAILED)}
        state = execute(request, channel, device=device_for(_granted_gpus()), is_worker=True)
    except PhasetuneError as error:
        return {STATE: str(RunState.REFUSED), REASON: str(error)}
    return {**_final_metrics(request), STATE: str(state)}


def _has_failed(request: RunRequest, max_failures: int) -> bool:
    """Whether it failed before the worker died with a later run, or died too often itself."""
    run, store = request.run, request.paths.store
    if ArtifactStore(store).get(run.stage, run.key) is not None:
        return False
    if FailureStore(store).get(run.stage, run.key) is not None:
        return True
    return not Tries(request, max_failures=max_failures).begin()


def _enter(request: RunRequest) -> None:
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

    def __init__(self, request: RunRequest) -> None:
        self._key = request.run.key
        self._stop_file = request.stop_file
        self._asked = False
        self._looked_at = 0.0

    def stop_asked(self) -> bool:
        now = time.monotonic()
        if not self._asked and now - self._looked_at > _POLL_SECONDS:
            self._looked_at = now
            self._asked = self._stop_file.exists()
        return self._asked

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        from ray import tune

        kept = None if checkpoint is None else tune.Checkpoint.from_directory(str(checkpoint))
        tune.report({**flat_for_tune(row), KEY: self._key}, checkpoint=kept)
