"""Whether an MLflow tracking store answers: asked without MLflow, without making anything.

A file is opened read-only, a tracking server is asked for its health, of a database server it is
seen whether it takes connections. MLflow itself would make a file that is not there, and retries a
server that does not answer for minutes.
"""

import http.client
import socket
import sqlite3
import threading
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_WEB = ("http", "https")
_WAL = b"\x02\x02"  # bytes 18 and 19 of a database in that mode: sqlite.org/fileformat.html


class TrackingState(StrEnum):
    """How a tracking store was found."""

    ANSWERS = "answers"
    NOT_THERE_YET = "not there yet"
    SILENT = "does not answer"
    UNKNOWN = "can't be asked from here"


@dataclass(frozen=True, kw_only=True)
class TrackingAnswer:
    """How a tracking store was found; where it is silent, why, and the way out."""

    uri: str
    state: TrackingState
    reason: str = ""


class _SilenceError(Exception):
    """The store does not answer as one; the text says why and the way out."""


def ask_tracking_store(uri: str, *, timeout_seconds: float = 4.0) -> TrackingAnswer:
    """Whether the tracking store at an MLflow URI answers within this time.

    The answer's `uri` shows no password.
    """
    shown = shown_uri(uri)
    try:
        state = _within(timeout_seconds, lambda: _ask(uri, timeout_seconds))
    except _SilenceError as silent:
        return TrackingAnswer(uri=shown, state=TrackingState.SILENT, reason=str(silent))
    return TrackingAnswer(uri=shown, state=state)


def shown_uri(uri: str) -> str:
    """A URI that may be printed: its password is hidden."""
    try:
        parts = urlsplit(uri)
        password = parts.password
    except ValueError:
        return uri
    if not password:
        return uri
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:***@{host}"
    return urlunsplit(parts._replace(netloc=netloc))


def _within(seconds: float, ask: Callable[[], TrackingState]) -> TrackingState:
    """The answer, or silence after this time: looking up a name can't be told to hurry."""
    found: list[TrackingState | _SilenceError] = []

    def answer() -> None:
        try:
            found.append(ask())
        except _SilenceError as silent:
            found.append(silent)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise _SilenceError(f"nothing was heard within {seconds:g} s; start it, or name another")
    if isinstance(found[0], _SilenceError):
        raise found[0]
    return found[0]


def _ask(uri: str, timeout_seconds: float) -> TrackingState:
    try:
        parts = urlsplit(uri)
        scheme, port = parts.scheme.partition("+")[0], parts.port
    except ValueError as error:
        raise _SilenceError(
            f"it is no address ({error}); write it like http://host:5000"
        ) from error
    if scheme == "sqlite":
        return _ask_file(uri)
    if scheme in _WEB:
        return _ask_server(parts, timeout_seconds)
    if scheme in _PORTS:
        return _connect(parts.hostname or "localhost", port or _PORTS[scheme], timeout_seconds)
    if scheme in ("", "file"):
        raise _SilenceError(
            "MLflow refuses plain folders as tracking stores; write sqlite:///FILE for a file, or "
            "http://HOST:PORT for a server"
        )
    return TrackingState.UNKNOWN


def _ask_file(uri: str) -> TrackingState:
    path = Path(uri.partition("://")[2].removeprefix("/").partition("?")[0])
    try:
        if not path.exists():
            return TrackingState.NOT_THERE_YET
        with path.open("rb") as file:
            uses_wal = file.read(20)[18:] == _WAL
        # Reading a database in this mode makes files beside it, unless it is said not to change.
        has_writer = path.with_name(path.name + "-wal").exists()
        mode = "mode=ro&immutable=1" if uses_wal and not has_writer else "mode=ro"
        address = f"file:{quote(str(path.absolute()))}?{mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as database:
            database.execute("SELECT count(*) FROM experiments").fetchone()
    except (OSError, sqlite3.Error) as error:
        raise _SilenceError(
            f"{path} can't be read as a tracking store ({error}); move it away, or name another"
        ) from error
    return TrackingState.ANSWERS


def _ask_server(parts: SplitResult, timeout_seconds: float) -> TrackingState:
    netloc = parts.netloc.rpartition("@")[2]
    health = urlunsplit(parts._replace(netloc=netloc, path=parts.path.rstrip("/") + "/health"))
    try:
        with urllib.request.urlopen(health, timeout=timeout_seconds):  # noqa: S310 - http(s) only
            return TrackingState.ANSWERS
    except HTTPError as error:
        with error:
            if error.code in (401, 403):
                return TrackingState.ANSWERS
        raise _SilenceError(
            f"its health page answers {error.code} {error.reason}; look at the server's log, or "
            "name another"
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _SilenceError(f"{reason}; start it, or name another") from error


def _connect(host: str, port: int, timeout_seconds: float) -> TrackingState:
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return TrackingState.ANSWERS
    except OSError as error:
        raise _SilenceError(
            f"{host}:{port} takes no connection ({error}); start it, or name another"
        ) from error
