"""The driver: phase by phase, plan what the store lacks, execute it, score, decide, carry.

The store decides what is done, so there is one way through a study, whether it is new, was
interrupted, was extended or is finished: plan all of it and execute what is not there.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import content_problems, data_state
from phasetune.plan.planner import Planner
from phasetune.plan.share import distinct_runs, sharing, waves
from phasetune.plan.trial import PhasePlan, Run, Trial
from phasetune.run.backend import Backend
from phasetune.run.events import Listener, Noticed, PhaseDecided, PhaseStarted, WaveStarted
from phasetune.run.interrupt import StopSwitch
from phasetune.run.labels import run_label, run_points
from phasetune.run.ledger import Ledger
from phasetune.run.machine import compute_capabilities, device_for, resolved_precision
from phasetune.run.records import (
    final_record,
    keep_decision,
    plan_record,
    publish_model,
    record_invocation,
    standing_decision,
    write_study,
)
from phasetune.run.request import RunRequest, RunState, WorkloadRequest
from phasetune.run.scoring import environments, phase_scores
from phasetune.select.decide import decide
from phasetune.select.record import (
    carried_settings,
    carries,
    decision_record,
    inputs_record,
)
from phasetune.select.verdict import Rule
from phasetune.store.digests import remembered_digests
from phasetune.store.documents import document_digest, write_document
from phasetune.store.failures import Failure
from phasetune.store.paths import ResultsPaths
from phasetune.store.provenance import environment_class
from phasetune.study.load import LoadedStudy, import_folders
from phasetune.study.parameters import Settings
from phasetune.study.schema import FINAL


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a study is run, besides what it asks for."""

    phase: int | None = None
    retry_failed: bool = False
    strict_environment: bool = False


@dataclass(kw_only=True)
class StudyResult:
    """What a study came to: decisions by phase, the final record, what failed, what was done."""

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    final: dict[str, Any] | None = None
    failures: list[tuple[str, Failure, Path]] = field(default_factory=list)
    executed: int = 0
    reused: int = 0
    resumed: bool = False

    @property
    def is_final_failed(self) -> bool:
        """Whether the last winner's refit or test failed."""
        return self.final is not None and self.final["state"] != RunState.DONE


class Driver:
    """Runs one study once."""

    def __init__(
        self,
        loaded: LoadedStudy,
        *,
        results: Path,
        backend: Backend,
        listener: Listener,
        stop: StopSwitch,
        options: RunOptions,
    ) -> None:
        self.study = loaded.study
        self._loaded = loaded
        self._paths = ResultsPaths(results.resolve())
        self._study_paths = self._paths.study(self.study.name)
        self._backend = backend
        self._listener = listener
        self._stop = stop
        self._options = options
        self._ledger = Ledger(self._paths, listener)
        self._result = StudyResult(resumed=self._study_paths.study.exists())
        self._entered = ExitStack()
        self._is_prepared = False
        self._executed: list[dict[str, Any]] = []

    def run(self) -> StudyResult:
        """Run what is not done.

        Raises:
            PhasetuneError: the study, its data or the results are not what they must be.
            Interrupted: somebody asked for an end; nothing was decided since.
        """
        return self._recorded(lambda planner: self._run_phases(planner))

    def run_trial(self, name: str) -> Trial:
        """Run one trial, named as `plan` shows it, around what earlier phases decided.

        Raises:
            StudyError: there is no such trial; the message lists those there are.
            PhasetuneError, Interrupted: as for `run`.
        """
        found: list[Trial] = []
        self._recorded(lambda planner: found.append(self._run_trial(planner, name)))
        return found[0]

    @property
    def ledger(self) -> Ledger:
        """What is known of each run."""
        return self._ledger

    def _recorded(self, work: Any) -> StudyResult:
        started = datetime.now(UTC)
        with remembered_digests(self._paths.digests, fresh=True):
            state = data_state(self._loaded)
        if not state.is_known:
            raise StudyError(state.problems)
        planner = Planner(self._loaded, state.fingerprints)
        try:
            with self._stop.listening(), self._entered:
                work(planner)
        finally:
            if self._executed:
                record_invocation(
                    self._study_paths.provenance,
                    started=started,
                    backend=self._backend.name,
                    executed=self._executed,
                    code=self._loaded.workload.code,
                    data=state.fingerprints,
                )
        return self._result

    def _run_phases(self, planner: Planner) -> None:
        carried = planner.base_settings()
        only = self._options.phase
        for index in range(len(self.study.phases)):
            plan = planner.phase(index, carried)
            if only is not None and index < only:
                carried = self._earlier_winner(plan)
                continue
            record = self._run_phase(plan)
            if not carries(record):
                return
            carried = carried_settings(record)
            if index == only:
                return
        self._run_final(planner, carried)

    def _run_trial(self, planner: Planner, name: str) -> Trial:
        carried, known = planner.base_settings(), list[str]()
        for index in range(len(self.study.phases)):
            plan = planner.phase(index, carried)
            trial = plan.trial(name)
            if trial is not None:
                self._execute(plan.name, [trial])
                return trial
            known += [trial.name for trial in plan.all_trials]
            carried = self._earlier_winner(plan)
        raise StudyError(f"trial: there is no {name!r} in the study; known: {', '.join(known)}")

    def _earlier_winner(self, plan: PhasePlan) -> Settings:
        """What a phase that is not run now carries on: its decision if it stands, else nothing."""
        record = standing_decision(
            self._study_paths.phase(plan.name), self._inputs(plan) if self._is_done(plan) else None
        )
        if record is not None and carries(record):
            self._result.decisions[plan.name] = record
            message = f"phase {plan.name}: goes on from its winner {record['winner'] or 'carried'}"
            self._listener.notify(Noticed(message=message))
            return carried_settings(record)
        message = f"phase {plan.name}: not decided yet, so its parameters stay as carried into it"
        self._listener.notify(Noticed(message=message))
        return plan.carried

    def _is_done(self, plan: PhasePlan) -> bool:
        states = self._ledger.states(distinct_runs(plan.all_trials))
        return RunState.PENDING not in states.values()

    def _run_phase(self, plan: PhasePlan) -> dict[str, Any]:
        self._execute(plan.name, plan.all_trials, plan)
        return self._decide(plan)

    def _execute(self, phase: str, trials: Sequence[Trial], plan: PhasePlan | None = None) -> None:
        """Execute what the store lacks, wave by wave, and account for all of it."""
        runs = distinct_runs(trials)
        self._prepare_runs(runs)
        points = run_points(trials)
        labels = {
            run.key: run_label(run, points[run.key], replicate.seed_index)
            for trial in reversed(trials)
            for replicate in reversed(trial.replicates)
            for run in replicate.runs
        }
        if plan is not None:
            self._announce_phase(plan, runs)
        executed = set[str]()
        while wave := self._next_wave(runs):
            requests = self._requests(phase, wave, runs, labels, points)
            self._execute_wave(phase, requests)
            executed |= {run.key for run in wave}
        self._account(runs, executed, labels)

    def _prepare_runs(self, runs: Sequence[Run]) -> None:
        if self._options.strict_environment:
            numerics = self.study.numerics
            wanted = self.study.resources_per_trial.gpu
            device = device_for(len(compute_capabilities()) if wanted is None else wanted)
            environment = environment_class(
                device=device,
                precision=resolved_precision(numerics.precision, device),
                threads=numerics.threads,
            )
            self._ledger.set_aside_other_environments(runs, environment)
        if self._options.retry_failed:
            self._ledger.forget_failures(runs)

    def _announce_phase(self, plan: PhasePlan, runs: Sequence[Run]) -> None:
        states = self._ledger.states(runs)
        self._listener.notify(
            PhaseStarted(
                phase=plan.name,
                position=f"{plan.index + 1}/{len(self.study.phases)}",
                trials=len(plan.trials),
                sharing=sharing(plan.all_trials),
                missing=sum(state is RunState.PENDING for state in states.values()),
            )
        )

    def _next_wave(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        states = self._ledger.states(runs)
        pending = waves(
            [run for run in runs if states[run.key] in (RunState.PENDING, RunState.DONE)],
            lambda run: states[run.key] is RunState.DONE,
        )
        return pending[0] if pending else ()

    def _requests(
        self,
        phase: str,
        wave: Sequence[Run],
        runs: Sequence[Run],
        labels: Mapping[str, str],
        points: Mapping[str, Mapping[str, Any]],
    ) -> list[RunRequest]:
        attempt = self._study_paths.phase(phase).new_attempt()
        stages = {run.key: run.stage for run in runs}
        workload = self._workload_request()
        return [
            RunRequest(
                run=run,
                parent_stage=stages[run.parent] if run.parent is not None else None,
                label=labels[run.key],
                point=points[run.key],
                workload=workload,
                results=self._paths.root,
                study=self.study.name,
                attempt=attempt,
                stall_timeout_seconds=self.study.stall_timeout_seconds,
            )
            for run in wave
        ]

    def _workload_request(self) -> WorkloadRequest:
        return WorkloadRequest(
            path=self.study.workload,
            sources=self.study.sources,
            folders=import_folders(self.study),
            code=self._loaded.workload.code,
            data=self.study.data,
            numerics=self.study.numerics,
            working_directory=str(Path.cwd()),
        )

    def _execute_wave(self, phase: str, requests: Sequence[RunRequest]) -> None:
        self._stop.raise_if_asked()
        self._prepare()
        attempt = requests[0].attempt
        attempt.mkdir(parents=True)
        self._listener.notify(
            WaveStarted(
                phase=phase, runs=len(requests), backend=self._backend.name, attempt=attempt
            )
        )
        try:
            with self._stop.followed_by(requests[0].stop_file.touch):
                self._backend.execute(requests, listener=self._listener, stop=self._stop)
        finally:
            self._note_executed(requests)
        self._stop.raise_if_asked()
        self._refuse_unsettled(requests)

    def _prepare(self) -> None:
        """Once, before the first run: check the data's content, write the study, start."""
        if self._is_prepared:
            return
        problems = content_problems(self._loaded)
        if problems:
            raise StudyError(problems)
        for message in write_study(self.study, self._study_paths):
            self._listener.notify(Noticed(message=message))
        self._entered.enter_context(self._backend)
        self._is_prepared = True

    def _note_executed(self, requests: Sequence[RunRequest]) -> None:
        for request in requests:
            artifact = self._ledger.artifact(request.run)
            if artifact is not None:
                self._executed.append(
                    {
                        "stage": request.run.stage,
                        "key": request.run.key,
                        "label": request.label,
                        **artifact.manifest["provenance"],
                    }
                )

    def _refuse_unsettled(self, requests: Sequence[RunRequest]) -> None:
        states = self._ledger.states([request.run for request in requests])
        lost = [r.label for r in requests if states[r.run.key] is RunState.PENDING]
        if lost:
            raise StoreError(
                f"the attempt {requests[0].attempt} returned, but these runs left neither an "
                f"artifact nor a failure: {', '.join(lost)}; run again, with --debug for more"
            )

    def _account(self, runs: Sequence[Run], executed: set[str], labels: Mapping[str, str]) -> None:
        states = self._ledger.states(runs)
        for run in runs:
            failure = self._ledger.failure(run) if states[run.key] is RunState.FAILED else None
            if failure is not None:
                path = self._ledger.failures.traceback(run.stage, run.key)
                self._result.failures.append((labels[run.key], failure, path))
        self._result.executed += len(executed)
        self._result.reused += sum(
            states[run.key] is RunState.DONE and run.key not in executed for run in runs
        )

    def _inputs(self, plan: PhasePlan) -> str:
        scores = phase_scores(plan, self._ledger)
        return document_digest(
            inputs_record(
                carried=plan.carried,
                points={trial.name: trial.point for trial in plan.trials},
                rule=Rule.of(self.study),
                scores=scores,
            )
        )

    def _decide(self, plan: PhasePlan) -> dict[str, Any]:
        self._stop.raise_if_asked()
        rule = Rule.of(self.study)
        record = decision_record(
            decide(phase_scores(plan, self._ledger), rule),
            phase=plan.name,
            inputs=self._inputs(plan),
            rule=rule,
            carried=plan.carried,
            trials={trial.name: _about(trial) for trial in plan.all_trials},
            environments=environments(plan.all_trials, self._ledger),
        )
        paths = self._study_paths.phase(plan.name)
        write_document(paths.plan, plan_record(plan))
        again = keep_decision(paths, record)
        self._result.decisions[plan.name] = record
        self._listener.notify(PhaseDecided(record=record, again=again))
        return record

    def _run_final(self, planner: Planner, carried: Settings) -> None:
        trial = planner.final(carried)
        if trial is None:
            return
        self._execute(FINAL, [trial])
        self._stop.raise_if_asked()
        training = [stage.name for stage in self._loaded.workload.training_stages]
        record = final_record(trial, self._ledger, training=training)
        if record["state"] == RunState.DONE:
            publish_model(trial, self._ledger, self._study_paths, training=training)
        write_document(self._study_paths.final, record)
        self._result.final = record


def _about(trial: Trial) -> dict[str, Any]:
    return {
        "point": dict(trial.point),
        "settings": dict(trial.settings),
        "note": trial.note,
        "expect": {metric: list(bounds) for metric, bounds in trial.expect.items()},
    }
