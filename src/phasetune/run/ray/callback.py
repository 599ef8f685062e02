"""What Tune tells while a wave runs: passed on to the listener, and used to end a wave."""

import contextlib
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial

from phasetune.run.backend import announce
from phasetune.run.events import Listener, RunReported, RunStarted
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.session import Terminal
from phasetune.run.ray.trainable import STATE, TUNES_OWN
from phasetune.run.request import RunRequest


class WaveCallback(Callback):
    """Tells the listener; never raises, since that would end the study."""

    def __init__(self, requests: list[RunRequest], listener: Listener, terminal: Terminal) -> None:
        self._requests = requests
        self._listener = listener
        self._terminal = terminal
        self.running: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks beside the experiment; nothing of ours belongs there."""
        return {"_requests": [], "_listener": None, "_terminal": None, "running": set()}

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Tell that a run was handed to a worker."""
        del iteration, trials, info
        request = self._request(trial)
        self.running.add(trial.trial_id)
        self._tell(lambda: self._listener.notify(RunStarted(label=request.label)))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Tell of a step; the last report of a run has no step of its own."""
        del iteration, trials, info
        if STATE in result or "step" not in result:
            return
        label, own = self._request(trial).label, _own_metrics(result)
        event = RunReported(label=label, step=int(result["step"]), metrics=own)
        self._tell(lambda: self._listener.notify(event))

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Tell how a run ended."""
        del iteration, trials, info
        self.running.discard(trial.trial_id)
        request = self._request(trial)
        self._tell(lambda: announce(request, self._listener))

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        """Forget a run whose worker died for the last time."""
        del iteration, trials, info
        self.running.discard(trial.trial_id)

    def _request(self, trial: TuneTrial) -> RunRequest:
        index: int = trial.config["run"]["index"]
        return self._requests[index]

    def _tell(self, tell: Any) -> None:
        with self._terminal.loudly(), contextlib.suppress(Exception):
            tell()


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
