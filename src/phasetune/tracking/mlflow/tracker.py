"""The tracker `mlflow`: a run for each record, told through MLflow's client without global state.

An experiment for each study, by its name. A run is found again by its tag `phasetune.record`, so
that a database that was copied, or a process that died between beginning a run and remembering it,
makes no second one. What a run has is asked of the store before it is told more, once while the
store answers, so telling the same twice changes nothing.
"""

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasetune.store.durable import make_folder
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series
from phasetune.tracking.mlflow.artifacts import tell_artifacts, tell_model, tell_whole_texts
from phasetune.tracking.mlflow.metrics import milliseconds
from phasetune.tracking.mlflow.runs import (
    KnownRun,
    mlflow_tags,
    tell_series,
    tell_status,
    tell_values,
)
from phasetune.tracking.mlflow.store import (
    MlflowPlace,
    bounded,
    in_our_words,
    is_fault,
    leave_connections,
    made_ready,
    quietly,
    unreachable,
)
from phasetune.tracking.origin import study_origin

_RUNS_A_PAGE = 1000
_RECORD, _STUDY, _ORIGIN = "phasetune.record", "phasetune.study", "phasetune.origin"
_PARENT = "mlflow.parentRunId"


@dataclass(kw_only=True)
class _Session:
    """A store that answered, as it was then; `handles` are the study's runs by their record tag,
    `runs` what is known of them by handle.
    """

    client: Any
    experiment: str
    file: tuple[int, int] | None
    handles: dict[str, str] | None = None
    runs: dict[str, KnownRun] = field(default_factory=dict)

    def known(self, handle: str) -> KnownRun:
        """What is known of a run; it is asked for where that is nothing."""
        if handle not in self.runs:
            self.runs[handle] = KnownRun.of(self.client.get_run(handle))
        return self.runs[handle]

    def run(self, handle: str) -> KnownRun:
        """As `known`, of one that was not deleted."""
        run = self.known(handle)
        if run.is_deleted:
            raise Forgotten(f"the run {handle} was deleted")
        return run


class MlflowTracker:
    """Tells an MLflow store of one study."""

    name = "mlflow"

    def __init__(self, place: MlflowPlace, *, study: StudyPaths) -> None:
        self.place = place.shown
        self._place = place
        self._study = study
        self._session: _Session | None = None
        self._bounds = ExitStack()
        self._is_bounded = False

    def connect(self) -> None:
        """Make the database where it is a file that is not there, and the study's experiment."""
        self._connected()

    def open(self, record: Record, parent: str | None) -> str:
        """Begin a run, or find it; one that was deleted in MLflow comes back."""
        with self._asked(None) as session:
            if session.handles is None:
                session.handles = self._found_handles(session)
            name = f"{self._study.root.name}/{record.id}"
            handle = session.handles.get(name)
            if handle is None:
                run = self._created(session, name, record, parent)
                session.runs[run.run_id] = run
                session.handles[name] = run.run_id
                return run.run_id
            run = session.known(handle)
            if run.is_deleted:
                session.client.restore_run(handle)
                run.is_deleted = False
            if parent is not None and run.tags.get(_PARENT) != parent:
                run.set_tag(session.client, _PARENT, parent)
            return handle

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """From what the run has; also of a run that ended. One that was just begun has none."""
        with self._asked(handle) as session:
            run = session.runs.get(handle)
            if run is None or not run.is_new:
                session.runs.pop(handle, None)
                run = session.run(handle)
            return _last_steps(run)

    def log(self, handle: str, series: Series) -> None:
        """A metric `stage/name` for each step."""
        with self._asked(handle) as session:
            tell_series(session.client, session.run(handle), [series])

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,  # noqa: ARG002 - what the run has is known
        series: Sequence[Series] = (),
    ) -> None:
        """Tell what the run does not have yet; its end before its model, which may fail."""
        with self._asked(handle) as session:
            client, run = session.client, session.run(handle)
            del session.runs[handle]  # where this fails on its way it is asked for anew
            too_long = tell_values(client, run, record, series)
            if too_long or record.artifacts or record.model is not None:
                self._make_artifacts()
            tell_whole_texts(client, run, too_long)
            tell_artifacts(client, run, record.artifacts)
            tell_status(client, run, record)
            tell_model(client, run, record, self._study)
            session.runs[handle] = run

    def _make_artifacts(self) -> None:
        """For their owner alone, which MLflow would not see to."""
        if self._place.artifacts is not None:
            make_folder(self._place.artifacts)

    def close(self) -> None:
        """Leave MLflow's settings as they were; nothing else is kept between calls."""
        self._leave_session()
        self._bounds.close()

    @contextmanager
    def _asked(self, handle: str | None) -> Iterator[_Session]:
        """Within the block the store is asked about a run."""
        session = self._session or self._connected()
        with quietly(), in_our_words(self._place):
            if session.file != _identity(self._place.file):
                self._leave_session()
                raise Forgotten(f"{self.place} was deleted or replaced")
            try:
                yield session
            except Exception as error:
                if is_fault(error) and _is_deleted(session, handle):
                    self._session = None
                    raise Forgotten(f"{self.place}: it was deleted there") from error
                raise

    def _connected(self) -> _Session:
        self._leave_session()
        if not self._is_bounded:  # until the end: others may read the environment meanwhile
            self._bounds.enter_context(bounded())
            self._is_bounded = True
        with quietly(), unreachable(self._place):
            made_ready(self._place)
            self._session = self._begun()
        return self._session

    def _leave_session(self) -> None:
        if self._session is not None:
            leave_connections(self._session.client)
        self._session = None

    def _begun(self) -> _Session:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self._place.uri)
        return _Session(
            client=client, experiment=self._experiment(client), file=_identity(self._place.file)
        )

    def _experiment(self, client: Any) -> str:
        name = self._study.root.name
        found = client.get_experiment_by_name(name)
        if found is None:
            folder = self._place.artifacts
            return str(
                client.create_experiment(
                    name, None if folder is None else (folder / name).absolute().as_uri()
                )
            )
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _found_handles(self, session: _Session) -> dict[str, str]:
        """The study's runs; of those under one record the one that was begun first."""
        found = {}
        for run in map(KnownRun.of, self._found_runs(session)):
            session.runs[run.run_id] = run
            found[run.tags.get(_RECORD, "")] = run.run_id
        return found

    def _found_runs(self, session: _Session) -> Iterator[Any]:
        """Those that were begun last come first."""
        origin, page = study_origin(self._study), None
        while True:
            page = session.client.search_runs(
                [session.experiment],
                f"tags.`{_STUDY}` = '{self._study.root.name}'",
                run_view_type=3,
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time DESC"],
                page_token=None if page is None else page.token,
            )
            for run in page:
                if not self._place.is_shared or run.data.tags.get(_ORIGIN) == origin:
                    yield run
            if not page.token:
                return

    def _created(
        self, session: _Session, name: str, record: Record, parent: str | None
    ) -> KnownRun:
        tags = {
            _RECORD: name,
            _STUDY: self._study.root.name,
            _ORIGIN: study_origin(self._study),
            "phasetune.kind": record.kind,
            "mlflow.user": _user(),
            "mlflow.source.name": "phasetune",
            "mlflow.source.type": "LOCAL",
        }
        above = {} if parent is None else {_PARENT: parent}
        made = session.client.create_run(
            session.experiment,
            start_time=milliseconds(record.started),
            tags={**mlflow_tags(record).short, **tags, **above},
            run_name=record.name,
        )
        return KnownRun.of(made, is_new=True)


def _last_steps(run: KnownRun) -> dict[str, int]:
    steps: dict[str, int] = {}
    for name, (_, step) in run.metrics.items():
        stage, slash, _ = name.partition("/")
        if slash:
            steps[stage] = max(steps.get(stage, step), step)
    return steps


def _is_deleted(session: _Session, handle: str | None) -> bool:
    """Whether somebody deleted the experiment, or the run."""
    found = [session.client.get_experiment(session.experiment)]
    if handle is not None:
        found.append(session.client.get_run(handle).info)
    return any(entry.lifecycle_stage == "deleted" for entry in found)


def _identity(file: Path | None) -> tuple[int, int] | None:
    """Which file it is, so that another one of its name is noticed."""
    if file is None or not file.exists():
        return None
    found = file.stat()
    return found.st_dev, found.st_ino


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
