"""The tracker `mlflow`: a run for each record, told through MLflow's client without global state.

An experiment for each study, by its name. A run is found again by its tag `phasetune.record`, so
that a database that was copied, or a process that died between beginning a run and remembering it,
makes no second one. What a run has is asked of the store before it is told more, so telling the
same twice changes nothing.
"""

import getpass
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series, Status
from phasetune.tracking.mlflow.artifacts import tell_artifacts, tell_model, tell_whole_texts
from phasetune.tracking.mlflow.metrics import batches, changed_metrics, milliseconds
from phasetune.tracking.mlflow.store import (
    MlflowPlace,
    bounded,
    in_our_words,
    is_fault,
    made_ready,
    quietly,
    unreachable,
)
from phasetune.tracking.mlflow.words import (
    LONGEST_PARAM,
    LONGEST_TAG,
    mlflow_texts,
)
from phasetune.tracking.origin import study_origin

_RUNS_A_PAGE = 1000
_RECORD, _STUDY, _ORIGIN = "phasetune.record", "phasetune.study", "phasetune.origin"
_MLFLOW_NAMES = {"git_commit": "mlflow.source.git.commit", "note": "mlflow.note.content"}


@dataclass(kw_only=True)
class _Session:
    """A store that answered, as it was then; `runs` are those of the study by their record tag."""

    client: Any
    experiment: str
    file: tuple[int, int] | None
    runs: dict[str, Any] | None = field(default=None)


class MlflowTracker:
    """Tells an MLflow store of one study."""

    name = "mlflow"

    def __init__(self, place: MlflowPlace, *, study: StudyPaths) -> None:
        self.place = place.shown
        self._place = place
        self._study = study
        self._session: _Session | None = None
        self._bounds = ExitStack()

    def connect(self) -> None:
        """Make the database where it is a file that is not there, and the study's experiment."""
        self._connected()

    def open(self, record: Record, parent: str | None) -> str:
        """Begin a run, or find it; one that was deleted in MLflow comes back."""
        with self._asked(None) as session:
            if session.runs is None:
                session.runs = dict(self._found_runs(session))
            name = f"{self._study.root.name}/{record.id}"
            found = session.runs.get(name)
            if found is None:
                found = session.runs[name] = self._created(session, name, record, parent)
            elif found.info.lifecycle_stage == "deleted":
                session.client.restore_run(found.info.run_id)
            if parent is not None and found.data.tags.get("mlflow.parentRunId") != parent:
                session.client.set_tag(found.info.run_id, "mlflow.parentRunId", parent)
            return str(found.info.run_id)

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """From what the run has; also of a run that ended."""
        with self._asked(handle) as session:
            steps: dict[str, int] = {}
            for metric in _active(session.client.get_run(handle)).to_proto().data.metrics:
                stage, slash, _ = metric.key.partition("/")
                if slash:
                    steps[stage] = max(steps.get(stage, metric.step), metric.step)
            return steps

    def log(self, handle: str, series: Series) -> None:
        """A metric `stage/name` for each step, in as few calls as MLflow allows."""
        with self._asked(handle) as session:
            for batch in batches(series):
                session.client.log_batch(handle, metrics=batch, synchronous=True)

    def update(self, handle: str, record: Record, *, told: Record | None) -> None:  # noqa: ARG002 - the store is asked
        """Tell what the run does not have yet; its end before its model, which may fail."""
        with self._asked(handle) as session:
            run = _active(session.client.get_run(handle))
            self._tell_values(session.client, run, record)
            tell_artifacts(session.client, run, record.artifacts)
            _tell_status(session.client, run, record)
            tell_model(session.client, run, record, self._study)

    def close(self) -> None:
        """Leave MLflow's settings as they were; nothing else is kept between calls."""
        self._session = None
        self._bounds.close()

    @contextmanager
    def _asked(self, handle: str | None) -> Iterator[_Session]:
        """Within the block the store is asked about a run."""
        session = self._session or self._connected()
        with quietly(), in_our_words(self._place):
            if session.file != _identity(self._place.file):
                self._session = None
                raise Forgotten(f"{self.place} was deleted or replaced")
            try:
                yield session
            except Exception as error:
                if is_fault(error) and _is_deleted(session, handle):
                    self._session = None
                    raise Forgotten(f"{self.place}: it was deleted there") from error
                raise

    def _connected(self) -> _Session:
        self._session = None
        self._bounds.close()
        self._bounds.enter_context(bounded())
        with quietly(), unreachable(self._place):
            made_ready(self._place)
            self._session = self._begun()
        return self._session

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

    def _found_runs(self, session: _Session) -> Iterator[tuple[str, Any]]:
        """The study's runs; of those under one record the one that was begun first."""
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
                    yield run.data.tags.get(_RECORD, ""), run
            if not page.token:
                return

    def _created(self, session: _Session, name: str, record: Record, parent: str | None) -> Any:
        tags = {
            _RECORD: name,
            _STUDY: self._study.root.name,
            _ORIGIN: study_origin(self._study),
            "phasetune.kind": record.kind,
            "mlflow.user": _user(),
            "mlflow.source.name": "phasetune",
            "mlflow.source.type": "LOCAL",
        }
        above = {} if parent is None else {"mlflow.parentRunId": parent}
        return session.client.create_run(
            session.experiment,
            start_time=milliseconds(record.started),
            tags={**tags, **above},
            run_name=record.name,
        )

    def _tell_values(self, client: Any, run: Any, record: Record) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = mlflow_texts(record.params, longest=LONGEST_PARAM)
        tags = mlflow_texts(
            {_MLFLOW_NAMES.get(n, f"phasetune.{n}"): text for n, text in record.tags.items()},
            longest=LONGEST_TAG,
        )
        had = run.data
        client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(key, value, milliseconds(record.ended), step)
                for key, value, step in changed_metrics(run, record.metrics)
            ],
            params=[
                Param(key, text) for key, text in params.short.items() if key not in had.params
            ],
            tags=[RunTag(key, t) for key, t in tags.short.items() if had.tags.get(key) != t],
        )
        tell_whole_texts(client, run, {**params.whole, **tags.whole})


def _tell_status(client: Any, run: Any, record: Record) -> None:
    run_id, info = run.info.run_id, run.info
    if info.run_name != record.name:
        client.update_run(run_id, name=record.name)
    if record.status is Status.RUNNING:
        if info.status != record.status:
            client.update_run(run_id, status=str(record.status))
        return
    ended = info.end_time if record.ended is None else milliseconds(record.ended)
    if (info.status, info.end_time) != (record.status, ended) or ended is None:
        client.set_terminated(run_id, str(record.status), ended)


def _active(run: Any) -> Any:
    if run.info.lifecycle_stage == "deleted":
        raise Forgotten(f"the run {run.info.run_id} was deleted")
    return run


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
