"""What the driver needs of a backend, and the backend that runs in the driver's own process.

A backend executes a wave: after it, each run has published its artifact, recorded its failure, or
was stopped because somebody asked. How many run at once, and where, is the backend's affair.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from phasetune.plan.trial import Run
from phasetune.run.changes import study_environment
from phasetune.run.events import Listener, Noticed, RunDone, RunFailed, RunReported, RunStarted
from phasetune.run.execute import execute, forget_data
from phasetune.run.interrupt import StopSwitch
from phasetune.run.logs import Streams, last_lines
from phasetune.run.machine import device_of_this_process, hidden_gpus
from phasetune.run.request import RunRequest
from phasetune.run.sharing import SharedLog
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.durable import commit, discard, make_folder, withdraw
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.paths import SEAL
from phasetune.study.schema import Study


class Backend(Protocol):
    """Executes waves; entered once per study. Runs of one trunk stand one after the other in a wave
    and are executed in that order.
    """

    @property
    def name(self) -> str:
        """How people call it."""

    @property
    def device(self) -> str:
        """`"cpu"` or `"cuda"`: what its runs get; asked once it is entered."""

    @property
    def is_joined(self) -> bool:
        """Whether runs go to machines whose devices are known only once it is entered."""

    def environments(self, *, uses_gpu: bool, stop: StopSwitch) -> Sequence[Mapping[str, Any]]:
        """The environment classes that runs may be of now, of stages that do or don't use GPUs;
        asked once it is entered, where it joins machines.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        """Execute all runs of a wave, or until somebody asks for an end."""


class InProcessBackend:
    """One run after the other in this process: no Ray, no start-up, plain files.

    It has no watchdog, which could only end the driver itself. A run has all of the GPU, whatever
    part the study asks for: no other one runs beside it.
    """

    name = "in-process"
    is_joined = False

    def __init__(self, study: Study) -> None:
        self._study = study
        self.device = device_of_this_process(study.resources_per_trial)

    def __enter__(self) -> Self:
        forget_data()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def environments(
        self,
        *,
        uses_gpu: bool,
        stop: StopSwitch,  # noqa: ARG002
    ) -> Sequence[Mapping[str, Any]]:
        """The one of this process."""
        return (study_environment(self._study, uses_gpu=uses_gpu),)

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        """Execute the runs in their order."""
        for request in wave:
            stop.raise_if_asked()
            listener.notify(started(request))
            streams = Streams.now()
            channel = _FileChannel(request=request, listener=listener, stop=stop, streams=streams)
            hidden = nullcontext() if request.run.uses_gpu else hidden_gpus()
            device = self.device if request.run.uses_gpu else "cpu"
            with stop.bounded(), hidden:
                execute(request, channel, device=device, is_worker=False)
            announce(request, listener)
        stop.raise_if_asked()


def started(request: RunRequest) -> RunStarted:
    """That a run was handed to a process."""
    return RunStarted(**_identity(request), steps=request.run.steps or _epochs(request.run))


def _epochs(run: Run) -> int | None:
    """How many steps a run has at most, by the name that the fit loop's settings have for it."""
    epochs = run.params.get(f"{run.stage}.epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else None


def reported(request: RunRequest, step: int, metrics: Mapping[str, float]) -> RunReported:
    """That a run reported a step."""
    return RunReported(**_identity(request), step=step, metrics=metrics)


def failed(request: RunRequest, failure: Failure) -> RunFailed:
    """That a run failed, as it is recorded, and what it printed last."""
    run = request.run
    log = request.study_paths.run_log(run.stage, run.key)
    SharedLog(log).meet()  # else its worker died before it could, or had another machine
    return RunFailed(
        **_identity(request),
        failure=failure,
        traceback=FailureStore(request.paths.store).traceback(run.stage, run.key),
        tail=last_lines(log),
    )


def _identity(request: RunRequest) -> dict[str, str]:
    return {"key": request.run.key, "stage": request.run.stage, "label": request.label}


def announce(request: RunRequest, listener: Listener) -> None:
    """Tell how a run ended, as the store has it; nothing where it was stopped."""
    run = request.run
    artifact = ArtifactStore(request.paths.store).get(run.stage, run.key)
    failure = FailureStore(request.paths.store).get(run.stage, run.key)
    if artifact is not None:
        listener.notify(
            RunDone(
                **_identity(request),
                metrics=artifact.metrics,
                seconds=artifact.spent_seconds,
                resources=artifact.resources,
            )
        )
        for note in artifact.notes:
            listener.notify(Noticed(message=f"{request.label}: {note}"))
    elif failure is not None:
        listener.notify(failed(request, failure))


@dataclass(kw_only=True)
class _FileChannel:
    """Keeps the newest checkpoint of a run as a folder of its attempt; who listens sees the streams
    of the driver, and not those of the run.
    """

    request: RunRequest
    listener: Listener
    stop: StopSwitch
    streams: Streams

    def stop_asked(self) -> bool:
        return self.stop.asked

    def is_superseded(self) -> bool:
        return False

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        if checkpoint is not None:
            self._keep(checkpoint)
        metrics = {name: value for name, value in row.items() if name != "step"}
        with self.streams.lent():
            self.listener.notify(reported(self.request, int(row["step"]), metrics))

    def _keep(self, checkpoint: Path) -> None:
        folder = self.request.folder
        make_folder(folder)
        older = sorted(folder.glob("checkpoint_*"))
        number = 1 + max((int(path.name.rpartition("_")[2]) for path in older), default=-1)
        draft = folder / f".draft-{number:06d}"
        discard(draft)
        shutil.copytree(checkpoint, draft, ignore=shutil.ignore_patterns(SEAL))
        shutil.copy2(checkpoint / SEAL, draft / SEAL)
        commit(draft, folder / f"checkpoint_{number:06d}")
        for path in older:
            withdraw(path)
