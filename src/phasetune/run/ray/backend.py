"""Executes a wave as one Ray Tune `Tuner` over its jobs: its runs, those of a trunk together.

The store decides what is done: each wave is a new Tuner over what is missing, in a folder of its
own, and `Tuner.restore` is never used (it does not fail closed). Workers record what a workload
raises, so for Tune a run fails only when its worker dies; then it is tried again (`tries`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from phasetune.errors import StoreError
from phasetune.run.backend import failed
from phasetune.run.changes import study_environment
from phasetune.run.events import Listener, Noticed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.machine import device_for
from phasetune.run.ray.address import named_address
from phasetune.run.ray.environments import NodeEnvironments
from phasetune.run.ray.measuring import measured_on_cluster
from phasetune.run.ray.nodes import Nodes, fits_any
from phasetune.run.ray.placement import Ask, Placement, bundles
from phasetune.run.ray.session import cluster
from phasetune.run.ray.storage import own_staging, tune_storage
from phasetune.run.ray.temporary import refuse_without_room, temporary_folder
from phasetune.run.ray.terminal import Terminal
from phasetune.run.ray.trainable import (
    KEY,
    REASON,
    STATE,
    execute_in_worker,
    flat_for_tune,
)
from phasetune.run.ray.tries import Tries, cause_told, most_deaths, run_that_died, verdict
from phasetune.run.ray.watch import watched
from phasetune.run.request import RunRequest, RunState
from phasetune.store.artifacts import ArtifactStore
from phasetune.study.schema import Study

Jobs = list[list[RunRequest]]


class RayBackend:
    """Runs in parallel on a private local cluster, or on the one at `address`."""

    name = "ray"

    def __init__(
        self, study: Study, *, log: Path, address: str | None, max_concurrent: int | None
    ) -> None:
        if address is not None:
            named_address(address)  # a mistyped one is refused before anything is made
        self._study = study
        self._address = address
        self._max_concurrent = max_concurrent or study.max_concurrent_trials
        self._terminal = Terminal(log)
        self._entered = ExitStack()
        self._placement = Placement(study)
        self._nodes = Nodes()
        self._environments = NodeEnvironments(study.numerics)
        self._warning: str | None = None

    @property
    def is_joined(self) -> bool:
        """Whether it joins a cluster, which has machines of its own."""
        return self._address is not None

    @property
    def device(self) -> str:
        """Of a private cluster what this machine has; of a joined one what it says."""
        if self.is_joined:
            return "cuda" if self._placement.gpus else "cpu"
        return device_for(self._placement.gpus)

    def __enter__(self) -> Self:
        if not self.is_joined:
            self._warning = refuse_without_room(temporary_folder())
        with self._terminal.quietly(), ExitStack() as entered:
            warning = entered.enter_context(cluster(self._address))
            self._warning = self._warning or warning
            watched(self._placement.look, stop=StopSwitch())
            self._entered = entered.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._terminal.quietly():
            self._entered.close()

    def environments(self, *, uses_gpu: bool, stop: StopSwitch) -> Sequence[Mapping[str, Any]]:
        """Of a private cluster the class of this machine; of a joined one those of the nodes that
        a run could go to.

        Raises:
            StudyError: there is no such node, or it doesn't answer.
            StoreError: the cluster is gone.
        """
        if not self.is_joined:
            return (study_environment(self._study, uses_gpu=uses_gpu),)
        with self._terminal.quietly():
            ask = self._placement.ask(uses_gpu=uses_gpu)
            return watched(lambda: self._environments.of(ask, stop=stop), stop=stop)

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        """Execute the runs; after it each is in the store, has a failure, or was stopped.

        Raises:
            StudyError: a run asks for more than any machine of the cluster has, or a machine of a
                joined one lacks something.
            StoreError: the results can't be written, Tune and the store disagree about a run, or
                the cluster is gone.
        """
        if self._warning is not None:
            listener.notify(Noticed(message=self._warning))
            self._warning = None
        self._terminal.tells(listener)
        jobs = _jobs(wave)
        with self._terminal.quietly(), own_staging():
            results = watched(lambda: self._fit(jobs, listener, stop), stop=stop)
        self._settle(jobs, results, listener, stop)

    def _fit(self, jobs: Jobs, listener: Listener, stop: StopSwitch) -> Any:
        from ray import tune
        from ray.tune.logger import JsonLoggerCallback

        from phasetune.run.ray.callback import EndWhenStopped, WaveCallback
        from phasetune.run.ray.nodes_left import NodesLeft

        limit = self._study.max_failures
        callback = WaveCallback(jobs, listener, self._terminal, max_failures=limit)
        attempt, asks = jobs[0][0].attempt, self._asks(jobs, listener, stop)
        fits, storage = fits_any(asks), tune_storage(attempt.parent)
        if self.is_joined:
            self._nodes.refuse_unfit(jobs[0][0], fits=fits, listener=listener, stop=stop)
        trainable = tune.with_parameters(execute_in_worker, jobs=jobs, max_failures=limit)
        most = most_deaths(runs=max(map(len, jobs)), max_failures=limit)
        tuner = tune.Tuner(
            tune.with_resources(trainable, _bundles_by_config(asks)),
            param_space={"run": tune.grid_search([_config(i, j) for i, j in enumerate(jobs)])},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=self._max_concurrent,
                trial_name_creator=lambda trial: _folder(jobs, trial),
                trial_dirname_creator=lambda trial: _folder(jobs, trial),
            ),
            run_config=tune.RunConfig(
                storage_path=storage.path,
                storage_filesystem=storage.file_system,
                name=attempt.name,
                verbose=0,
                stop=EndWhenStopped(callback, stop),
                callbacks=[JsonLoggerCallback(), callback, NodesLeft(fits, listener)],
                failure_config=tune.FailureConfig(max_failures=most),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            ),
        )
        return tuner.fit()

    def _asks(self, jobs: Jobs, listener: Listener, stop: StopSwitch) -> list[Ask]:
        self._placement.look()
        return self._placement.asks(
            jobs,
            measure=lambda request, ask: measured_on_cluster(
                request, ask=ask, listener=listener, stop=stop
            ),
            tell=lambda message: listener.notify(Noticed(message=message)),
        )

    def _settle(self, jobs: Jobs, results: Any, listener: Listener, stop: StopSwitch) -> None:
        """Hold Tune's analysis against the store; record runs whose workers died for good."""
        by_folder = {Path(result.path).name: result for result in results if result.path}
        for job in jobs:  # a tune_trial that never reported has no config to know it by
            result = by_folder.get(job[0].folder.name)
            metrics = {} if result is None else result.metrics or {}
            request = next((r for r in job if r.run.key == metrics.get(KEY)), job[0])
            if result is not None and result.error is not None:
                self._record_death(job, str(result.error), listener)
            elif metrics.get(STATE) == RunState.REFUSED:
                raise StoreError(f"{request.label}: {metrics.get(REASON)}")
            elif metrics.get(STATE) == RunState.DONE:
                _refuse_disagreement(request, metrics)
            elif metrics.get(STATE) is None and not stop.asked:
                raise StoreError(
                    f"{request.label}: Tune ended the run without a result; see {request.attempt}"
                )

    def _record_death(self, job: Sequence[RunRequest], words: str, listener: Listener) -> None:
        """The last resort: no worker lived long enough to record the failure; `words` are Ray's.

        Tune gives up at once, and tells nobody, where a worker dies while it is handed another run.
        Such a run was never begun: it is left without an end, and is executed in another attempt.
        """
        request = run_that_died(job)
        if request is None:
            return
        limit = self._study.max_failures
        tries = Tries(request, max_failures=limit)
        if tries.place() is not None:  # it was begun, and nobody noted why that ended
            tries.note_death(cause_told(words), words)
        deaths = tries.deaths()
        if not deaths or verdict(deaths, max_failures=limit).is_tried_again:
            cause = deaths[-1] if deaths else cause_told(words)
            message = f"{request.label}: {tries.told(cause)}; it is tried again"
            listener.notify(Noticed(message=message))
            return
        listener.notify(failed(request, tries.give_up()))


def _bundles_by_config(asks: Sequence[Ask]) -> Callable[[dict[str, Any]], Any]:
    """Tune asks for each trial; actors are used again by trials of equal bundles."""
    made = {ask: bundles(ask) for ask in dict.fromkeys(asks)}
    listed = [made[ask] for ask in asks]
    return lambda config: listed[config["run"]["index"]]


def _jobs(wave: Sequence[RunRequest]) -> Jobs:
    """The runs of one trunk are one job, in their order; every other run is one by itself."""
    jobs: dict[str, list[RunRequest]] = {}
    for request in wave:
        jobs.setdefault(request.run.family, []).append(request)
    return list(jobs.values())


def _config(index: int, job: Sequence[RunRequest]) -> dict[str, Any]:
    """What Tune shows of a job: its index in the wave, its stage, and the last point."""
    return {"index": index, "stage": job[-1].run.stage, **job[-1].point}


def _folder(jobs: Jobs, trial: Any) -> str:
    return str(jobs[trial.config["run"]["index"]][0].folder.name)


def _refuse_disagreement(request: RunRequest, metrics: dict[str, Any]) -> None:
    found = ArtifactStore(request.paths.store).get(request.run.stage, request.run.key)
    expected = {} if found is None else flat_for_tune(found.metrics)
    differing = [
        name
        for name, value in expected.items()
        if name not in metrics or not _equal(float(metrics[name]), value)
    ]
    if found is None or metrics.get(KEY) != request.run.key or differing:
        raise StoreError(
            f"{request.label}: Tune's analysis and the store disagree about "
            f"{', '.join(differing) or 'the artifact'}; see {request.attempt}"
        )


def _equal(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)
