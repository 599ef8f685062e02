"""Which MLflow store a study is told to, and how it is asked: quietly, within bounds, in our words.

MLflow takes its settings from environment variables, waits for a server for minutes, prints, and
sends usage statistics unless told otherwise. `bounded` sets what the user has not set.

A database file is made by a process of its own, since making one changes the logging of the
process, and becomes visible when it is whole: MLflow's own way is not safe for several processes,
and leaves a half where it is killed.
"""

import glob
import importlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.store.durable import DRAFT_PREFIX, discard, make_folder, replacing
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.masking import masked
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.contract import Forgotten, Unavailable
from phasetune.tracking.places import results_folder
from phasetune.tracking.settings import unless_set

VARIABLE = "MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"
_LONGEST_CREATION_SECONDS = 60.0
_MOST_SAID = 300
_OWNER_ALONE = 0o077
_UNLESS_SET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # who asks tries again by itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
_OF_THE_RECORD = {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE"}


@dataclass(frozen=True, kw_only=True)
class MlflowPlace:
    """An MLflow store: its URI, the file where it is one, where a new experiment's artifacts go
    (None: as the store decides), and whether other results may be told to it as well.
    """

    uri: str
    file: Path | None = None
    artifacts: Path | None = None
    is_shared: bool = True

    @property
    def shown(self) -> str:
        """For people, without secrets."""
        return masked(self.uri)

    @property
    def is_server(self) -> bool:
        """Whether it is a tracking server, with pages of its own."""
        return self.uri.startswith(("http://", "https://"))


def mlflow_place(target: str | None, results: ResultsPaths) -> MlflowPlace:
    """The store at `target`, else at MLFLOW_TRACKING_URI, else the results' own.

    A file that `target` names counts from the results; one of the variable from here, as MLflow
    itself has it.

    Raises:
        StudyError: MLflow has no such stores.
    """
    uri = target or os.environ.get(VARIABLE)
    if not uri:
        return MlflowPlace(
            uri=_SQLITE + str(_plain(results.mlflow)),
            file=results.mlflow,
            artifacts=results.mlflow_artifacts,
            is_shared=False,
        )
    if uri.startswith(_SQLITE):
        named = uri.removeprefix(_SQLITE).partition("?")[0]
        start = results_folder(results, named, tracker="mlflow") if target else Path.cwd()
        file = _plain((start / named).absolute())
        options = uri.partition("?")[1:]
        artifacts = file.with_name(f"{file.stem}-artifacts")
        return MlflowPlace(
            uri="".join((_SQLITE, str(file), *options)), file=file, artifacts=artifacts
        )
    return MlflowPlace(uri=_with_scheme(uri))


def _plain(file: Path) -> Path:
    """A path that stands for itself in a URI."""
    if {"?", "%"} & set(str(file)):
        raise StudyError(
            f"{file} can't be an MLflow store, because ? and % mean something else in its address; "
            "use another folder"
        )
    return file


def _with_scheme(uri: str) -> str:
    scheme, separator, place = uri.partition("://")
    if uri != "databricks" and (not separator or not place or scheme in ("", "file", "sqlite")):
        raise StudyError(
            f"tracking.mlflow must be the address of an MLflow store, but is {masked(uri)!r}; "
            "write sqlite:///FILE for a file, or http://HOST:PORT for a server"
        )
    return uri


@contextmanager
def bounded() -> Iterator[None]:
    """Within the block MLflow waits no longer than a tracker may, and sends no statistics; what
    the user has set stays.
    """
    with unless_set(_UNLESS_SET):
        yield


@contextmanager
def quietly() -> Iterator[None]:
    """Within the block MLflow logs nothing from this thread; it is imported where it was not."""
    _import_quietly()
    from mlflow.utils.logging_utils import suppress_logs_in_thread

    with suppress_logs_in_thread():
        yield


def _import_quietly() -> None:
    if "mlflow" not in sys.modules:
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module("mlflow")


def leave_connections(client: Any) -> None:
    """Close those that MLflow keeps open to a database: one to a file that was deleted would go on
    to write into it.
    """
    engine = getattr(client._tracking_client.store, "engine", None)
    if engine is not None:
        engine.dispose()


def is_fault(error: Exception) -> bool:
    """Whether MLflow refused what it was told, so that telling it again would not help."""
    return getattr(error, "error_code", None) in _OF_THE_RECORD


@contextmanager
def in_our_words(place: MlflowPlace) -> Iterator[None]:
    """Within the block, what MLflow raises is `Unavailable` or `Forgotten`, or a fault of what it
    was told.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if is_fault(error):
            raise
        if error.error_code == "RESOURCE_DOES_NOT_EXIST" or "no such table" in str(error):
            raise Forgotten(f"{place.shown} no longer has it") from error
        raise _unavailable(place, error) from error
    except (OSError, StoreError) as error:
        raise _unavailable(place, error) from error


@contextmanager
def unreachable(place: MlflowPlace) -> Iterator[None]:
    """Within the block, whatever is raised is `Unavailable`: no record was told yet, and libraries
    below MLflow, such as those of databases, raise what they like.
    """
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        raise _unavailable(place, error) from error


def _unavailable(place: MlflowPlace, error: BaseException) -> Unavailable:
    """With what went wrong at the bottom: MLflow wraps it in much else."""
    cause = error
    while (below := cause.__cause__ or cause.__context__) is not None and str(below):
        cause = below
    said = masked(" ".join(str(cause).split()))[:_MOST_SAID]
    return Unavailable(f"MLflow at {place.shown}: {said or type(cause).__name__}")


def made_ready(place: MlflowPlace) -> None:
    """Make the store where it is a file that is not there.

    Raises:
        Unavailable: it can't be made.
    """
    if place.file is not None and place.artifacts is not None:
        _make_database(place.file, place.artifacts)


def _make_database(file: Path, artifacts: Path) -> None:
    """Make MLflow's database where there is none; several processes may call this at once.

    `artifacts` is where those of MLflow's own first experiment go, which nothing of ours is told.

    """
    if _is_made(file):
        return
    make_folder(file.parent)
    with _alone(file.with_name(f".{file.name}.lock")) as is_alone:
        if is_alone:
            _delete_drafts(file)
        if not _is_made(file):
            with replacing(file) as draft:
                _create(draft, artifacts)


def _delete_drafts(file: Path) -> None:
    """What processes left that were killed while they made it."""
    for draft in file.parent.glob(f"{DRAFT_PREFIX}{glob.escape(file.name[:60])}-*"):
        discard(draft)


def _is_made(file: Path) -> bool:
    """An empty file is what SQLite leaves where it looked for a database."""
    return file.exists() and file.stat().st_size > 0


def _create(draft: Path, artifacts: Path) -> None:
    """By a process of its own; meanwhile this one imports MLflow, which it needs in any case."""
    module = "phasetune.tracking.mlflow.database"
    child = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", module, str(draft), str(artifacts), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=_OWNER_ALONE,
    )
    try:
        _import_quietly()
        said = child.communicate(timeout=_LONGEST_CREATION_SECONDS)[0].decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"MLflow's database {draft} takes too long to make") from error
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode:
        last = (said.strip().splitlines() or ["nothing was said"])[-1]
        raise Unavailable(f"MLflow's database can't be made: {masked(last)[:_MOST_SAID]}")


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Within the block no other process makes this database; False where there are no locks."""
    with closing(LockFile(path, writes=True)) as lock:
        until = time.monotonic() + _LONGEST_CREATION_SECONDS
        while (is_locked := _is_locked(lock)) is False:
            if time.monotonic() > until:
                raise Unavailable(f"another process holds {path}")
            time.sleep(0.1)
        yield is_locked is True


def _is_locked(lock: LockFile) -> bool | None:
    """Whether it is ours now; None where there are no locks."""
    try:
        lock.lock(shared=False)
    except BlockingIOError:
        return False
    except NoLocksError:
        return None
    return True
