"""A backend with upkeep around its waves and after each of its runs, whichever backend that is."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from phasetune.run.backend import Backend, InProcessBackend
from phasetune.run.events import Event, Listener, RunDone, RunFailed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.request import RunRequest
from phasetune.run.upkeep import Upkeep
from phasetune.study.schema import Study


class TidyBackend:
    """A backend with upkeep around its waves and after each of its runs."""

    def __init__(self, backend: Backend, upkeep: Upkeep) -> None:
        self._backend = backend
        self._upkeep = upkeep

    @property
    def name(self) -> str:
        """How people call it."""
        return self._backend.name

    @property
    def device(self) -> str:
        """What its runs get."""
        return self._backend.device

    @property
    def is_joined(self) -> bool:
        """Whether its runs go to machines that are known once it is entered."""
        return self._backend.is_joined

    def environments(self, *, uses_gpu: bool, stop: StopSwitch) -> Sequence[Mapping[str, Any]]:
        """The environment classes that runs may be of now."""
        return self._backend.environments(uses_gpu=uses_gpu, stop=stop)

    def __enter__(self) -> Self:
        self._backend.__enter__()
        return self

    def __exit__(self, *caught: object) -> None:
        self._backend.__exit__(*caught)

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        """Execute a wave.

        Raises:
            StoreError: there is too little room on the disk.
        """
        self._upkeep.before_wave(wave)
        told = _AfterRun(listener, self._upkeep, wave)
        try:
            self._backend.execute(wave, listener=told, stop=stop)
        finally:
            self._upkeep.after_wave()


class _AfterRun:
    """Passes events on; when a run has ended, makes room."""

    def __init__(self, listener: Listener, upkeep: Upkeep, wave: Sequence[RunRequest]) -> None:
        self._listener = listener
        self._upkeep = upkeep
        self._requests = {request.label: request for request in wave}

    def notify(self, event: Event) -> None:
        """Take an event."""
        self._listener.notify(event)
        if isinstance(event, RunDone | RunFailed):
            self._upkeep.after_run(self._requests[event.label])


def most_in_flight(backend: Backend, study: Study) -> int:
    """How many runs a backend executes at once at most, as far as the driver knows."""
    if isinstance(backend, InProcessBackend):
        return 1
    return study.max_concurrent_trials or os.cpu_count() or 1
