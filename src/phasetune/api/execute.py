"""Run a study, or one trial of it."""

import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from phasetune.api.ask import Source
from phasetune.api.following import Followers, following
from phasetune.api.outcome import StudyOutcome
from phasetune.errors import PhasetuneError, StudyError
from phasetune.report.results import write_trial_results
from phasetune.report.write import write_report
from phasetune.run.backend import Backend, InProcessBackend
from phasetune.run.driver import Driver
from phasetune.run.events import Listener, Listeners, Noticed, NullListener, StudyEnded
from phasetune.run.executor import Account
from phasetune.run.interrupt import StopSwitch
from phasetune.run.journal import Journal
from phasetune.run.records import trial_record
from phasetune.run.result import RunOptions
from phasetune.run.sharing import shared
from phasetune.run.stop_request import heeding
from phasetune.store.driver_lock import DriverLock, driving
from phasetune.store.lease import Waiting
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at
from phasetune.study.load import LoadedStudy, load
from phasetune.study.problems import suggestion
from phasetune.study.schema import Study


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
    shares: bool = True,
    page: bool = False,
    listener: Listener | None = None,
) -> StudyOutcome:
    """Run a study, go on with it, or do nothing because all is done.

    `phase` (a name, or a number from 1) runs that phase alone. By default runs go through a
    private local Ray cluster; `address` joins a running one, `in_process` does without Ray.
    Without `shares` each trial has runs of its own: the study costs what its trials cost alone.
    With `page` the report is also made to be looked at: `report.html`, and `figures/`.

    Raises:
        PhasetuneError: the study, its data or the results are not what they must be.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    loaded, paths, stop = load(source, overrides), results_at(results), StopSwitch()
    options = RunOptions(
        phase=_phase_index(loaded.study, phase),
        retry_failed=retry_failed,
        strict_environment=strict_environment,
        shares=shares,
    )
    backend = _backend(loaded.study, paths, in_process, address, max_concurrent)
    study_paths = paths.study(loaded.study.name)
    with stop.listening(), _driver(loaded, paths, options, listener, backend, stop) as driver:
        result = driver.run()
        report = write_report(paths, study_paths, has_new_runs=result.account.has_news)
        stop.raise_if_asked()
        if page and report["phases"] and not study_paths.page.exists():
            _write_page(paths, study_paths, driver.listener)
            stop.raise_if_asked()
    return StudyOutcome(paths=study_paths, result=result, report=report)


def _write_page(paths: ResultsPaths, study: StudyPaths, listener: Listener) -> None:
    """The page is gone since the report says something else, or there never was one.

    All is decided and kept by now, so whatever keeps the page from being made is only told.
    """
    from phasetune.report.page.write import write_study_page

    listener.notify(Noticed(message="drawing the report"))
    try:
        write_study_page(paths, study)
    except Exception as error:
        message = f"the report could not be drawn: {type(error).__name__}: {error}"
        again = shlex.join(["phasetune", "report", paths.shown, "--study", study.root.name])
        listener.notify(Noticed(message=f"warning: {message}; try `{again}`"))


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
    loaded, paths, stop = load(source, overrides), results_at(results), StopSwitch()
    backend = _backend(loaded.study, paths, in_process, address, max_concurrent)
    options = RunOptions(retry_failed=retry_failed)
    study_paths = paths.study(loaded.study.name)
    with stop.listening(), _driver(loaded, paths, options, listener, backend, stop) as driver:
        trial, account = driver.run_trial(name)
        document = write_trial_results(paths, study_paths, trial_record(trial))
    return document, account


@contextmanager
def _driver(
    loaded: LoadedStudy,
    paths: ResultsPaths,
    options: RunOptions,
    listener: Listener | None,
    backend: Backend,
    stop: StopSwitch,
) -> Iterator[Driver]:
    """The one driver of the study, within the block: until the last byte of the report."""
    study = paths.study(loaded.study.name)
    with (
        driving(paths, loaded.study.name, _waiting(listener, stop)) as lock,
        _told(loaded, paths, lock, listener) as told,
        heeding(study, stop, told),
    ):
        _tell_who_left(lock, told)
        yield Driver(
            loaded,
            results=paths.root,
            lock=lock,
            backend=backend,
            listener=told,
            stop=stop,
            options=options,
        )


def _waiting(listener: Listener | None, stop: StopSwitch) -> Waiting:
    """How it is waited for a driver of another machine; who is taken for dead itself, ends."""

    def tell(message: str) -> None:
        (listener or NullListener()).notify(Noticed(message=message))

    def end() -> None:
        if not stop.asked:
            stop.ask_as_signal(signal.SIGTERM)

    return Waiting(tell=tell, raise_if_asked=stop.raise_if_asked, on_lost=end)


@contextmanager
def _told(
    loaded: LoadedStudy, paths: ResultsPaths, lock: DriverLock, listener: Listener | None
) -> Iterator[Listener]:
    """Everybody who is told what happens, within the block; last of all how it ended.

    What trackers are to be told of, such as the report, is made within the block.
    """
    study, people = paths.study(loaded.study.name), listener or NullListener()

    def tell(message: str) -> None:
        people.notify(Noticed(message=message))

    with (
        shared([study.events, study.log], tell=tell, check=lock.check),
        closing(Journal(study.events)) as journal,
    ):
        told = Listeners((people, journal))
        with following(loaded, paths, told) as trackers:
            try:
                yield Listeners((told, trackers))
            except BaseException as error:
                _end(told, trackers, _ended_by(error))
                raise
            _end(told, trackers, StudyEnded(outcome="done"))


def _ended_by(error: BaseException) -> StudyEnded:
    if isinstance(error, PhasetuneError):
        return StudyEnded(outcome="refused", message=str(error))
    if isinstance(error, Exception):  # a fault of ours, which flies
        return StudyEnded(outcome="refused", message=f"{type(error).__name__}: {error}")
    return StudyEnded(outcome="interrupted", message=str(error))


def _end(told: Listener, trackers: Followers, ended: StudyEnded) -> None:
    """Trackers come first: what they could not be told is told to people before the end."""
    trackers.end(ended.outcome)
    told.notify(ended)


def _tell_who_left(lock: DriverLock, listener: Listener) -> None:
    if lock.left_by is not None:
        message = f"the driver before ({lock.left_by}) is gone; going on from what it left"
        listener.notify(Noticed(message=message))


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
