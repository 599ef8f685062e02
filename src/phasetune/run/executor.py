"""Executes what the store lacks of some trials, wave by wave, and accounts for all of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import DataState, content_problems
from phasetune.plan.share import distinct_runs, waves
from phasetune.plan.trial import Run, Trial
from phasetune.plan.warnings import workload_warnings
from phasetune.run.backend import Backend
from phasetune.run.changes import StudyInputs, changes, keep_study, study_inputs
from phasetune.run.events import BackendStarting, Listener, Noticed, WaveStarted
from phasetune.run.interrupt import StopSwitch
from phasetune.run.labels import run_labels
from phasetune.run.ledger import Ledger
from phasetune.run.ray.tries import NODE_RETRIES
from phasetune.run.request import RunRequest, RunState, ask_workers
from phasetune.run.wave import wave_requests
from phasetune.store.driver_lock import DriverLock
from phasetune.store.failures import Failure
from phasetune.store.paths import ResultsPaths
from phasetune.store.workers import wait_for_workers
from phasetune.study.load import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class FailedRun:
    """A run that failed: what people call it, why, and where the full traceback is."""

    label: str
    failure: Failure
    traceback: Path


@dataclass(kw_only=True)
class Account:
    """What was executed now; how many runs trials take, each by itself, and distinct ones."""

    executed: list[dict[str, Any]] = field(default_factory=list)
    has_new_failures: bool = False
    decided: int = 0
    asked: int = 0
    distinct: set[str] = field(default_factory=set)
    failures: list[FailedRun] = field(default_factory=list)

    @property
    def has_news(self) -> bool:
        """Whether anything ran, failed or was decided now, not before."""
        return bool(self.executed) or self.has_new_failures or self.decided > 0


class Executor:
    """Starts its backend when there is a first run to execute, and not before."""

    def __init__(
        self,
        loaded: LoadedStudy,
        *,
        results: Path,
        lock: DriverLock,
        backend: Backend,
        listener: Listener,
        stop: StopSwitch,
        retry_failed: bool,
        strict_environment: bool,
    ) -> None:
        self._loaded = loaded
        self._study = loaded.study
        self._paths = ResultsPaths(results)
        self._study_paths = self._paths.study(loaded.study.name)
        self._lock = lock
        self._backend = backend
        self._listener = listener
        self._stop = stop
        self._retry_failed = retry_failed
        self._strict_environment = strict_environment
        self._entered = ExitStack()
        self._is_entered = False
        self._is_prepared = False
        self._told: set[str] = set()
        self._lost: Counter[str] = Counter()
        self.ledger = Ledger(self._paths, listener)
        self.account = Account()
        self.replaces_study = True
        self.data = DataState(fingerprints={}, problems=())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()

    def prepare(self, trials: Sequence[Trial]) -> tuple[Run, ...]:
        """The distinct runs of some trials, with what doesn't count put away.

        What was computed in another environment class does not count under
        `strict_environment`; failures are forgotten under `retry_failed`.

        Raises:
            PhasetuneError: the cluster that is to be joined can't be.
        """
        runs = distinct_runs(trials)
        if self._strict_environment:
            made = {entry["key"] for entry in self.account.executed}
            before = [run for run in runs if run.key not in made]
            environments = cache(self._environments)
            self.ledger.set_aside_other_environments(before, lambda run: environments(run.uses_gpu))
        if self._retry_failed:
            self.ledger.forget_failures(runs)
        return runs

    def _environments(self, uses_gpu: bool) -> Sequence[Mapping[str, Any]]:
        if self._backend.is_joined:
            self._enter()
        return self._backend.environments(uses_gpu=uses_gpu, stop=self._stop)

    def execute(self, phase: str, trials: Sequence[Trial], *, told: Listener) -> None:
        """Execute what the store lacks of the trials; `told` is told what happens.

        Raises:
            PhasetuneError: the data is not what it must be, or the results can't be written.
            Interrupted: somebody asked for an end.
        """
        runs = distinct_runs(trials)
        while wave := self._next_wave(runs):
            self._prepare()
            self._warn(trials)
            attempt = self._study_paths.phase(phase).new_attempt()
            requests = wave_requests(self._loaded, wave, trials, paths=self._paths, attempt=attempt)
            self._execute_wave(phase, requests, told)
        self.account.asked += sum(len(trial.runs_alone) for trial in trials)
        self.account.distinct |= {run.key for run in runs}
        self._note_failures(runs, run_labels(trials))

    def _next_wave(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        """What can run now; a parent that no longer is what was published comes first, anew."""
        while True:
            wave = self._first_wave(runs, self.ledger.states(runs))
            needed = {run.parent for run in wave}
            damaged = [r for r in runs if r.key in needed and not self.ledger.is_intact(r)]
            if not damaged:
                return wave

    def _first_wave(self, runs: Sequence[Run], states: Mapping[str, RunState]) -> tuple[Run, ...]:
        possible = [run for run in runs if states[run.key] in (RunState.PENDING, RunState.DONE)]
        pending = waves(possible, lambda run: states[run.key] is RunState.DONE)
        return pending[0] if pending else ()

    def _execute_wave(self, phase: str, requests: Sequence[RunRequest], told: Listener) -> None:
        self._stop.raise_if_asked()
        attempt = requests[0].attempt
        told.notify(
            WaveStarted(
                phase=phase,
                runs=len(requests),
                backend=self._backend.name,
                device=self._backend.device if any(r.run.uses_gpu for r in requests) else "cpu",
                attempt=attempt,
            )
        )
        try:
            with (
                self._stop.followed_by(lambda: ask_workers(requests[0], tell=self._tell_notice)),
                self._stop.followed_by(self._tell_stopping),
            ):
                self._backend.execute(requests, listener=told, stop=self._stop)
        except StoreError:
            with suppress(StoreError):  # what ended the wave is what is to be told
                self._close_wave(requests)
            raise
        except BaseException:
            self._close_wave(requests)
            raise
        self._close_wave(requests)
        self._stop.raise_if_asked()
        self._count_lost(requests)

    def _close_wave(self, requests: Sequence[RunRequest]) -> None:
        self._note_executed(requests)
        self._lock.hold()  # who was taken for dead meanwhile says so, and decides nothing

    def _tell_stopping(self) -> None:
        """Called by a signal, perhaps in the middle of a line that is being printed."""
        seconds = self._stop.grace_seconds
        self._tell_notice(
            f"stopping: waits up to {seconds:g} s for checkpoints; the same signal again leaves at "
            "once"
        )

    def _tell_notice(self, message: str) -> None:
        with suppress(RuntimeError):
            self._listener.notify(Noticed(message=message))

    def _prepare(self) -> None:
        """Once, before the first run: check the data's content, write the study, start."""
        if self._is_prepared:
            return
        problems = content_problems(self._loaded)
        if problems:
            raise StudyError(problems)
        self.keep_study()
        wait_for_workers(  # of a driver that was killed: they may still hold a GPU
            self._study_paths,
            tell=lambda message: self._listener.notify(Noticed(message=message)),
            is_over=lambda: self._stop.asked,
        )
        self._stop.raise_if_asked()
        self._enter()
        self._is_prepared = True

    def _enter(self) -> None:
        """Once, before the first run or the first question to a cluster."""
        if self._is_entered:
            return
        self._listener.notify(BackendStarting(backend=self._backend.name))
        self._entered.enter_context(self._backend)
        self._is_entered = True
        self._stop.listen_again()

    def _warn(self, trials: Sequence[Trial]) -> None:
        """Tell once what the workload says should be known of these settings."""
        device = self._backend.device
        for message in workload_warnings(
            self._loaded, lambda: [trial.settings for trial in trials], device=device
        ):
            if message not in self._told:
                self._told.add(message)
                self._listener.notify(Noticed(message=f"warning: {message}"))

    def tell_changes(self) -> None:
        """Tell what changed since the study was last kept, unless another one stays kept."""
        if not self.replaces_study:
            return
        inputs, strict = self._inputs(), self._strict_environment
        for message in changes(self._study, self._study_paths, inputs, is_strict=strict):
            self._listener.notify(Noticed(message=message))

    def keep_study(self) -> None:
        """Keep the study as resolved.

        Not where another one is kept and this command decides nothing (`replaces_study`).
        """
        self._lock.hold()
        if self.replaces_study or not self._study_paths.study.exists():
            keep_study(self._study, self._study_paths, self._inputs())

    def _inputs(self) -> StudyInputs:
        return study_inputs(self._loaded, self.data, is_joined=self._backend.is_joined)

    def _note_executed(self, requests: Sequence[RunRequest]) -> None:
        for request in requests:
            failed = self.ledger.failure(request.run) is not None
            self.account.has_new_failures = self.account.has_new_failures or failed
            artifact = self.ledger.artifact(request.run)
            if artifact is not None:
                self.account.executed.append(
                    {
                        "stage": request.run.stage,
                        "key": request.run.key,
                        "label": request.label,
                        **artifact.manifest["provenance"],
                    }
                )

    def _count_lost(self, requests: Sequence[RunRequest]) -> None:
        """Every run has an end, but those behind one of their trunk whose worker died. Others that
        have none are executed in other attempts: a lost node may have taken each of them.
        """
        states = self.ledger.states([request.run for request in requests])
        failed = {r.run.family for r in requests if states[r.run.key] is RunState.FAILED}
        pending = [r for r in requests if states[r.run.key] is RunState.PENDING]
        lost = [r for r in pending if r.run.family not in failed]
        self._lost.update(request.run.key for request in lost)
        hopeless = [r.label for r in lost if self._lost[r.run.key] > NODE_RETRIES]
        if hopeless:
            raise StoreError(
                f"the attempt {requests[0].attempt} returned, but these runs left neither an "
                f"artifact nor a failure: {', '.join(hopeless)}; run again, with --debug for more"
            )

    def _note_failures(self, runs: Sequence[Run], labels: Mapping[str, str]) -> None:
        states = self.ledger.states(runs)
        for run in runs:
            failure = self.ledger.failure(run) if states[run.key] is RunState.FAILED else None
            if failure is not None:
                path = self.ledger.failures.traceback(run.stage, run.key)
                self.account.failures.append(
                    FailedRun(label=labels[run.key], failure=failure, traceback=path)
                )
