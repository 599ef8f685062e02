"""The driver: phase by phase, plan what the store lacks, execute it, score, decide, carry.

The store decides what is done, so there is one way through a study, whether it is new, was
interrupted, was extended or is finished: plan all of it and execute what is not there.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import DataState, data_state
from phasetune.plan.planner import Planner
from phasetune.plan.share import distinct_runs
from phasetune.plan.trial import PhasePlan, Trial
from phasetune.run.backend import Backend
from phasetune.run.decisions import decision_inputs, may_win, phase_decision
from phasetune.run.events import Listener, Noticed
from phasetune.run.executor import Account, Executor
from phasetune.run.interrupt import StopSwitch
from phasetune.run.judging import TrialWatch
from phasetune.run.records import (
    discard_trial_plans,
    final_record,
    fitting_decision,
    follows,
    is_model_published,
    keep_decision,
    plan_record,
    publish_model,
    record_invocation,
    retire_decisions,
    standing_decision,
)
from phasetune.run.request import RunState
from phasetune.run.result import RunOptions, StudyResult
from phasetune.run.telling import final_done, phase_decided, phase_started, study_started
from phasetune.run.tidy import TidyBackend, most_in_flight
from phasetune.run.upkeep import Upkeep
from phasetune.select.record import carried_settings, carries
from phasetune.select.verdict import Rule
from phasetune.store.digests import remembered_digests
from phasetune.store.documents import write_document
from phasetune.store.driver_lock import DriverLock
from phasetune.store.paths import ResultsPaths
from phasetune.study.load import LoadedStudy
from phasetune.study.parameters import Settings
from phasetune.study.problems import suggestion
from phasetune.study.schema import FINAL

T = TypeVar("T")


class Driver:
    """Runs one study once."""

    def __init__(
        self,
        loaded: LoadedStudy,
        *,
        results: Path,
        lock: DriverLock,
        backend: Backend,
        listener: Listener,
        stop: StopSwitch,
        options: RunOptions,
    ) -> None:
        self._loaded = loaded
        self._study = loaded.study
        self._paths = ResultsPaths(results.resolve())
        self._study_paths = self._paths.study(loaded.study.name)
        self._backend = backend
        self.listener = listener
        self._stop = stop
        self._only_phase = options.phase
        self._shares = options.shares
        self._retired: set[str] = set()
        self._upkeep = Upkeep(
            loaded.study,
            self._paths,
            listener=listener,
            in_flight=most_in_flight(backend, loaded.study),
        )
        self._executor = Executor(
            loaded,
            results=self._paths.root,
            lock=lock,
            backend=TidyBackend(backend, self._upkeep),
            listener=listener,
            stop=stop,
            retry_failed=options.retry_failed,
            strict_environment=options.strict_environment,
        )
        self._ledger = self._executor.ledger
        self._result = StudyResult(account=self._executor.account)

    def run(self) -> StudyResult:
        """Run what is not done.

        Raises:
            PhasetuneError: the study, its data or the results are not what they must be.
            Interrupted: somebody asked for an end; nothing was decided since.
        """
        self._recorded(self._run_phases)
        return self._result

    def run_trial(self, name: str) -> tuple[Trial, Account]:
        """Run one trial, named as `plan` shows it, around what earlier phases decided.

        Raises:
            StudyError: there is no such trial; the message lists those there are.
            PhasetuneError, Interrupted: as for `run`.
        """
        self._executor.replaces_study = False
        trial = self._recorded(lambda planner: self._run_trial(planner, name))
        return trial, self._result.account

    def _recorded(self, work: Callable[[Planner], T]) -> T:
        started = datetime.now(UTC)
        with remembered_digests(self._paths.digests, fresh=True) as memory:
            state = data_state(self._loaded)
        if not state.is_known:
            raise StudyError(state.problems)
        self._executor.data = state
        planner = Planner(self._loaded, state.fingerprints, shares=self._shares)
        planner.check()
        try:
            with self._executor:
                self.listener.notify(study_started(self._study, self._paths))
                self._executor.tell_changes()
                done = work(planner)
        except BaseException:
            with suppress(StoreError):  # what ended the study is what is to be told
                self._record(started, state)
            raise
        finally:
            memory.keep()
        self._record(started, state)
        return done

    def _record(self, started: datetime, state: DataState) -> None:
        account = self._result.account
        if account.has_news:
            record_invocation(
                self._study_paths.provenance,
                started=started,
                backend=self._backend.name,
                executed=account.executed,
                code=self._loaded.workload.code,
                data=state.fingerprints,
            )

    def _run_phases(self, planner: Planner) -> None:
        carried = planner.base_settings()
        for index in range(len(self._study.phases)):
            plan = planner.phase(index, carried)
            self._retire_if_outdated(plan)
            if self._only_phase is not None and index < self._only_phase:
                carried = self._earlier_winner(plan)
                continue
            record = self._run_phase(plan)
            carried = carried_settings(record)
            if not carries(record) or index == self._only_phase:
                return
        self._run_final(planner, carried)

    def _run_trial(self, planner: Planner, name: str) -> Trial:
        carried, known = planner.base_settings(), list[str]()
        for index in range(len(self._study.phases)):
            plan = planner.phase(index, carried)
            trial = plan.trial(name)
            if trial is not None:
                self._executor.prepare([trial])
                alone = replace(plan, trials=(trial,), baseline=None)
                paths = self._study_paths.phase(plan.name)
                self._execute(alone, paths.trial_plan(trial.key))
                return trial
            known += [trial.name for trial in plan.all_trials]
            carried = self._earlier_winner(plan)
        raise StudyError(f"there is no trial {name!r} in the study{suggestion(name, known)}")

    def _earlier_winner(self, plan: PhasePlan) -> Settings:
        """What a phase that is not run now hands on: its decision's, or else what came into it."""
        record = self._standing(plan)
        if record is None or not carries(record):
            decided = "no decision" if record is None else "no winner"
            message = f"phase {plan.name}: has {decided}, so its parameters stay as they came in"
            self.listener.notify(Noticed(message=message))
            return plan.carried
        self._result.decisions[plan.name] = record
        message = f"phase {plan.name}: decided before; goes on from {record['winner'] or 'carried'}"
        self.listener.notify(Noticed(message=message))
        return carried_settings(record)

    def _standing(self, plan: PhasePlan) -> dict[str, Any] | None:
        states = self._ledger.states(distinct_runs(plan.all_trials))
        if RunState.PENDING in states.values():
            return None
        inputs = decision_inputs(plan, Rule.of(self._study), self._ledger)
        return standing_decision(self._study_paths.phase(plan.name), inputs)

    def _run_phase(self, plan: PhasePlan) -> dict[str, Any]:
        runs = self._executor.prepare(plan.all_trials)
        states = self._ledger.states(runs)
        missing = Counter(run.stage for run in runs if states[run.key] is RunState.PENDING)
        self.listener.notify(phase_started(self._study, plan, missing))
        self._execute(plan, self._study_paths.phase(plan.name).plan)
        self._stop.raise_if_asked()
        return self._decide(plan)

    def _execute(self, plan: PhasePlan, path: Path) -> None:
        """Execute what the store lacks of a plan; it is kept before its first run starts."""
        record = plan_record(plan)
        rule = Rule.of(self._study)
        self._upkeep.plan(path, record, may_win=lambda: may_win(plan, rule, self._ledger))
        watch = TrialWatch(self.listener, plan, rule, self._ledger)
        told = self.listener if plan.name == FINAL else watch
        self._executor.execute(plan.name, plan.all_trials, told=told)
        self._executor.keep_study()
        write_document(path, record)

    def _retire_if_outdated(self, plan: PhasePlan) -> None:
        """Put a decision of another plan away before anything runs."""
        paths, rule = self._study_paths.phase(plan.name), Rule.of(self._study)
        if paths.decision.exists() and fitting_decision(paths, plan, rule) is None:
            self._retire(plan.index)

    def _retire(self, first: int) -> None:
        """Put away the decisions from a phase on, and the report: they are of another study now."""
        names = [phase.name for phase in self._study.phases[first:]]
        for name in retire_decisions(self._study_paths, names):
            self._retired.add(name)
            message = f"the decision of phase {name} is made again; the old one is kept"
            self.listener.notify(Noticed(message=message))

    def _decide(self, plan: PhasePlan) -> dict[str, Any]:
        record = phase_decision(plan, Rule.of(self._study), self._ledger)
        paths = self._study_paths.phase(plan.name)
        is_new = standing_decision(paths, record["inputs"]) is None
        self._result.account.decided += is_new
        again = keep_decision(paths, record) or plan.name in self._retired
        discard_trial_plans(paths)
        self._retire_what_does_not_follow(plan, record)
        self._result.decisions[plan.name] = record
        self.listener.notify(phase_decided(record, is_new=is_new, again=again))
        return record

    def _retire_what_does_not_follow(self, plan: PhasePlan, record: dict[str, Any]) -> None:
        if plan.index + 1 < len(self._study.phases):
            following = self._study_paths.phase(self._study.phases[plan.index + 1].name)
            if not follows(following, record):
                self._retire(plan.index + 1)

    def _run_final(self, planner: Planner, carried: Settings) -> None:
        trial = planner.final(carried)
        if trial is None:
            return
        training = [stage.name for stage in self._loaded.workload.training_stages]
        runs = self._executor.prepare([trial])
        if not is_model_published(trial, self._ledger, self._study_paths, training=training):
            for run in runs:  # a damaged one is computed again: its files are handed out
                self._ledger.is_intact(run)
        index = len(self._study.phases)
        plan = PhasePlan(index=index, name=FINAL, carried=carried, trials=(trial,), baseline=None)
        self._execute(plan, self._study_paths.phase(FINAL).plan)
        self._stop.raise_if_asked()
        record = final_record(trial, self._ledger, training=training)
        if record["state"] == RunState.DONE:
            publish_model(trial, self._ledger, self._study_paths, training=training)
        write_document(self._study_paths.final, record)
        self._result.final = record
        self.listener.notify(final_done(record))
