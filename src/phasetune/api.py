"""The same power in Python: load, plan and run a study; read what came of it.

from phasetune import run_study

outcome = run_study("study.yaml", overrides=["seed=7"])
print(outcome.winner, outcome.phases["method"].trials)
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import content_problems, data_state
from phasetune.plan.planner import Planner
from phasetune.plan.show import StudyPlan, cost_of
from phasetune.plan.survey import Winner, survey
from phasetune.plan.trial import PhasePlan, Run
from phasetune.report.results import write_trial_results
from phasetune.report.write import write_report
from phasetune.run.backend import Backend, InProcessBackend
from phasetune.run.driver import Driver, RunOptions, StudyResult
from phasetune.run.events import Listener, NullListener
from phasetune.run.executor import Account, FailedRun
from phasetune.run.interrupt import StopSwitch
from phasetune.run.records import fitting_decision, trial_record
from phasetune.select.decide import Outcome
from phasetune.select.record import carried_settings, carries
from phasetune.select.verdict import Rule
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.digests import remembered_digests
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.load import LoadedStudy, load
from phasetune.study.problems import suggestion
from phasetune.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

Source = str | Path | Study | LoadedStudy


@dataclass(frozen=True)
class PhaseOutcome:
    """A phase's decision, and its trials as a DataFrame."""

    decision: Mapping[str, Any]
    _paths: StudyPaths

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """One row per trial: standing, parameters, and per metric mean and standard error."""
        import pandas as pd

        return pd.read_parquet(self._paths.phase(self.decision["phase"]).trials)


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study came to."""

    paths: StudyPaths
    result: StudyResult
    report: Mapping[str, Any]

    @property
    def decisions(self) -> dict[str, dict[str, Any]]:
        """The decision of each phase, by its name."""
        return self.result.decisions

    @property
    def phases(self) -> dict[str, PhaseOutcome]:
        """Decision and trials of each phase, by its name."""
        return {name: PhaseOutcome(record, self.paths) for name, record in self.decisions.items()}

    @property
    def winner(self) -> Mapping[str, Any] | None:
        """The last decision's `trial`, `phase`, `settings`, `validation` and `test` scores."""
        found: Mapping[str, Any] | None = self.report["final_recommendation"]
        return found

    @property
    def failures(self) -> Sequence[FailedRun]:
        """The runs that failed."""
        return self.result.account.failures

    @property
    def exit_code(self) -> int:
        """0, 1 for a phase without a judgeable trial or a failed final, 3 for none feasible."""
        outcomes = [record["outcome"] for record in self.decisions.values()]
        if Outcome.NONE_ELIGIBLE in outcomes or self.result.is_final_failed:
            return 1
        return 3 if Outcome.NONE_FEASIBLE in outcomes else 0


def load_study(source: Source, overrides: Sequence[str] = ()) -> Study:
    """Load and check a study: a YAML path, `"module:function"`, or a Study.

    Raises:
        StudyError: every problem found, one sentence each.
    """
    return load(source, overrides).study


def plan_study(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    check_data: bool = False,
) -> StudyPlan:
    """What a study will run, without running or writing anything.

    With `check_data` the data is hashed anew and its content checked, which loads it.

    Raises:
        PhasetuneError: the study or, with `check_data`, its data is not what it must be.
    """
    loaded = load(source, overrides)
    paths = _results(results)
    with remembered_digests(paths.digests, fresh=check_data):
        state = data_state(loaded)
    if check_data:
        problems = state.problems or content_problems(loaded)
        if problems:
            raise StudyError(problems)
    store, rule = ArtifactStore(paths.store), Rule.of(loaded.study)
    study_paths = paths.study(loaded.study.name)

    def decided(plan: PhasePlan) -> Winner | None:
        record = fitting_decision(study_paths.phase(plan.name), plan, rule)
        if record is None or not carries(record):
            return None
        return record["winner"] or "as carried", carried_settings(record)

    def is_stored(run: Run) -> bool:
        with suppress(StoreError):
            return store.get(run.stage, run.key) is not None
        return False

    found = survey(Planner(loaded, state.fingerprints), decided=decided, is_stored=is_stored)
    return StudyPlan(
        study=loaded.study.name,
        survey=found,
        data=state,
        cost=cost_of(found, store),
        warnings=loaded.study.warnings,
    )


def run_study(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    phase: str | int | None = None,
    in_process: bool = False,
    address: str | None = None,
    max_concurrent: int | None = None,
    retry_failed: bool = False,
    strict_environment: bool = False,
    listener: Listener | None = None,
) -> StudyOutcome:
    """Run a study, go on with it, or do nothing because all is done.

    `phase` (a name, or a number from 1) runs that phase alone. By default runs go through a
    private local Ray cluster; `address` joins a running one, `in_process` does without Ray.

    Raises:
        PhasetuneError: the study, its data or the results are not what they must be.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    loaded, paths, stop = load(source, overrides), _results(results), StopSwitch()
    options = RunOptions(
        phase=_phase_index(loaded.study, phase),
        retry_failed=retry_failed,
        strict_environment=strict_environment,
    )
    backend = _backend(loaded.study, paths, in_process, address, max_concurrent)
    driver = _driver(loaded, paths, options, listener, backend, stop)
    study_paths = paths.study(loaded.study.name)
    with stop.listening():
        result = driver.run()
        report = write_report(paths, study_paths, has_new_runs=result.account.has_news)
        stop.raise_if_asked()
    return StudyOutcome(paths=study_paths, result=result, report=report)


def run_trial(
    source: Source,
    name: str,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    in_process: bool = False,
    address: str | None = None,
    max_concurrent: int | None = None,
    retry_failed: bool = False,
    listener: Listener | None = None,
) -> tuple[dict[str, Any], Account]:
    """Run one trial of a study by its name, alone; returns its `results.json` and the account.

    Raises:
        PhasetuneError, Interrupted: as for `run_study`; also where no trial has this name.
    """
    loaded, paths, stop = load(source, overrides), _results(results), StopSwitch()
    backend = _backend(loaded.study, paths, in_process, address, max_concurrent)
    options = RunOptions(retry_failed=retry_failed)
    driver = _driver(loaded, paths, options, listener, backend, stop)
    study_paths = paths.study(loaded.study.name)
    with stop.listening():
        trial, account = driver.run_trial(name)
        document = write_trial_results(paths, study_paths, trial_record(trial))
    return document, account


def _driver(
    loaded: LoadedStudy,
    paths: ResultsPaths,
    options: RunOptions,
    listener: Listener | None,
    backend: Backend,
    stop: StopSwitch,
) -> Driver:
    return Driver(
        loaded,
        results=paths.root,
        backend=backend,
        listener=listener or NullListener(),
        stop=stop,
        options=options,
    )


def _results(root: str | Path) -> ResultsPaths:
    """The results root as an absolute path, which no folder needs to be at yet."""
    path = Path(root).resolve()
    if path.exists() and not path.is_dir():
        raise StoreError(f"results must be a folder, but {path} is a file; name another")
    return ResultsPaths(path)


def _backend(
    study: Study,
    paths: ResultsPaths,
    in_process: bool,
    address: str | None,
    max_concurrent: int | None,
) -> Backend:
    if in_process and address is not None:
        raise StudyError("in-process and an address exclude each other; give one of them")
    if in_process:
        return InProcessBackend(study)
    from phasetune.run.ray.backend import RayBackend

    return RayBackend(
        study,
        log=paths.study(study.name).log,
        address=address,
        max_concurrent=max_concurrent,
    )


def _phase_index(study: Study, phase: str | int | None) -> int | None:
    """A phase by its name, or by its number from 1."""
    if phase is None:
        return None
    names = [entry.name for entry in study.phases]
    if phase in names:
        return names.index(str(phase))
    if str(phase).isdecimal() and 1 <= int(phase) <= len(names):
        return int(phase) - 1
    raise StudyError(
        f"there is no phase {str(phase)!r}{suggestion(str(phase), names)}; or give its number, "
        f"1 to {len(names)}"
    )


def trials(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per trial and phase of the studies below a results root.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import trials_frame

    return trials_frame(Path(results).resolve(), study)


def runs(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per run of each trial's replicate: state, duration, device, path, metrics.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import runs_frame

    return runs_frame(Path(results).resolve(), study)


def history(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per distinct run and reported step.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import history_frame

    return history_frame(Path(results).resolve(), study)


def analysis(
    results: str | Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """Tune's own `ExperimentAnalysis` of a phase's newest attempt, or of a numbered one.

    Raises:
        StoreError: the phase has no such attempt through Ray.
    """
    from phasetune.run.ray.analysis import experiment_analysis

    return experiment_analysis(Path(results).resolve(), phase, study=study, attempt=attempt)
