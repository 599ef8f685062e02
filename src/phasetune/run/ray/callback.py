"""What Tune tells while a wave runs: passed on to the listener, and used to end a wave."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial

from phasetune.run.backend import announce, reported, started
from phasetune.run.events import Listener, Noticed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.places import Place, is_lost, node_of
from phasetune.run.ray.terminal import Terminal
from phasetune.run.ray.trainable import KEY, STATE, TUNES_OWN
from phasetune.run.ray.tries import (
    Cause,
    Tries,
    actor_told,
    cause_told,
    give_worker_up,
    run_that_died,
)
from phasetune.run.request import RunRequest


class WaveCallback(Callback):
    """Tells the listener; never raises, since that would end the study."""

    def __init__(
        self,
        jobs: Sequence[Sequence[RunRequest]],
        listener: Listener,
        terminal: Terminal,
        *,
        max_failures: int,
    ) -> None:
        self._jobs = jobs
        self._max_failures = max_failures
        self._requests = {request.run.key: request for job in jobs for request in job}
        self._announced: set[str] = set()
        self._listener = listener
        self._terminal = terminal
        self._heard_at: dict[str, float] = {}
        self.running: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks beside the experiment; nothing of ours belongs there."""
        names = ("_jobs", "_requests", "_announced", "_listener", "_terminal")
        return {**dict.fromkeys(names), "_max_failures": 0, "_heard_at": {}, "running": set()}

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Tell that a job was handed to a worker."""
        del iteration, trials, info
        first = self._job(trial)[0]
        self.running.add(trial.trial_id)
        self._heard_at[trial.trial_id] = time.monotonic()
        self._tell(lambda: self._listener.notify(started(first)))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Tell of a step, or how a run ended; the report of an end has no step of its own."""
        del iteration, trials, info
        self._heard_at[trial.trial_id] = time.monotonic()
        request = self._requests.get(result.get(KEY, ""))
        if request is None:
            return
        if STATE in result:
            self._announce(request)
            self._start_next(trial, request)
            return
        event = reported(request, int(result["step"]), _own_metrics(result))
        self._tell(lambda: self._listener.notify(event))

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Tell how the runs of a job ended, where that was not told yet."""
        del iteration, trials, info
        self.running.discard(trial.trial_id)
        for request in self._job(trial):
            self._announce(request)

    def on_trial_recover(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Give the worker up, and keep why it died, before the next one decides by it; tell of
        another try.
        """
        del iteration, trials, info
        with contextlib.suppress(Exception):
            self._note_death(trial)

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Forget a run whose worker died for the last time, after telling what is recorded."""
        del iteration, trials, info
        self.running.discard(trial.trial_id)
        for request in self._job(trial):
            self._announce(request)

    def _job(self, trial: TuneTrial) -> Sequence[RunRequest]:
        index: int = trial.config["run"]["index"]
        return self._jobs[index]

    def _note_death(self, trial: TuneTrial) -> None:
        job, words = self._job(trial), _last_error(trial)
        actor = actor_told(words)
        if actor is not None:
            give_worker_up(job[0], actor)
        request = run_that_died(job)
        if request is None:
            return
        tries = Tries(request, max_failures=self._max_failures)
        place = tries.place()
        node = place.node if place is not None else actor and node_of(actor)
        found = tries.note_death(self._cause(trial, request, words, node), words)
        if found.is_tried_again:
            message = (
                f"{request.label}: {_told(tries, found.cause, place)}; it is tried again, "
                f"{found.tried + 1} of {found.allowed}"
            )
            self._tell(lambda: self._listener.notify(Noticed(message=message)))

    def _cause(self, trial: TuneTrial, request: RunRequest, words: str, node: str | None) -> Cause:
        """What Ray's words don't say: that the node is lost, or at a URI, that the run hung.

        The traceback of a run that hung is written as its process ends, so at a URI it stays on its
        machine, and what is known here is how long nothing was reported.
        """
        import ray

        told = cause_told(words)
        if told is not Cause.WORKER_DIED:
            return told
        if node and is_lost(node, ray.nodes()):
            return Cause.NODE_LOST
        silent = time.monotonic() - self._heard_at.get(trial.trial_id, time.monotonic())
        most = request.stall_timeout_seconds
        is_stall = request.uri is not None and most is not None and silent >= most
        return Cause.STALLED if is_stall else told

    def _start_next(self, trial: TuneTrial, ended: RunRequest) -> None:
        job = list(self._job(trial))
        following = job[job.index(ended) + 1 :]
        if following:
            event = started(following[0])
            self._tell(lambda: self._listener.notify(event))

    def _announce(self, request: RunRequest) -> None:
        if request.run.key not in self._announced:
            self._announced.add(request.run.key)
            self._tell(lambda: announce(request, self._listener))

    def _tell(self, tell: Any) -> None:
        with self._terminal.loudly(), contextlib.suppress(Exception):
            tell()


def _told(tries: Tries, cause: Cause, place: Place | None) -> str:
    """A clause on a death, for who is there."""
    if cause is Cause.NODE_LOST and place is not None:
        return f"its node {place.shown} was lost"
    return tries.told(cause)


def _last_error(trial: TuneTrial) -> str:
    """What Ray said of the last death; Tune keeps them all in one file."""
    if not trial.error_file:
        return ""
    _, _, last = Path(trial.error_file).read_text(errors="replace").rpartition("Failure # ")
    return last.partition("\n")[2]


def _own_metrics(result: dict[str, Any]) -> dict[str, float]:
    """Tune adds text and its own counters to a result; a listener wants the stage's numbers."""
    return {
        name: float(value)
        for name, value in result.items()
        if name not in TUNES_OWN and name != "step" and isinstance(value, int | float)
    }


class EndWhenStopped(Stopper):
    """Ends the wave when somebody asked and the runs of that moment have ended, or had their time.

    Runs that start after that end at once by themselves and are not waited for.
    """

    def __init__(self, callback: WaveCallback, stop: StopSwitch) -> None:
        self._callback: WaveCallback | None = callback
        self._stop: StopSwitch | None = stop
        self._waited_for: set[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """As for the callback: a restored Tuner has no driver to listen to."""
        return {"_callback": None, "_stop": None, "_waited_for": None}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never end a single run."""
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        """Whether the wave ends now."""
        if self._stop is None or self._callback is None or not self._stop.asked:
            return False
        if self._waited_for is None:
            self._waited_for = set(self._callback.running)
        return self._stop.overdue or not self._waited_for & self._callback.running
