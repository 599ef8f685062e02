"""Whether a tracking store answers; nothing is made by asking, and no password is shown."""

import http.server
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from phasetune.run.doctor.tracking_store import TrackingState, ask_tracking_store, shown_uri


@contextmanager
def server(code: int) -> Iterator[int]:
    """A web server whose every page has this status; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/ml/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base class
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield web.server_address[1]
        web.shutdown()
        thread.join()


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def write_store(path: Path, *, mode: str = "DELETE") -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE experiments (name TEXT)")
        database.commit()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_file_answers_and_nothing_is_made_beside_it(tmp_path: Path, mode: str) -> None:
    write_store(tmp_path / "ml flow#1.db", mode=mode)
    answer = ask_tracking_store(f"sqlite:///{tmp_path / 'ml flow#1.db'}")
    assert answer.state is TrackingState.ANSWERS
    assert [path.name for path in tmp_path.iterdir()] == ["ml flow#1.db"]


def test_a_file_that_another_process_writes_answers(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    write_store(path, mode="WAL")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO experiments VALUES ('one')")
        writer.commit()
        assert ask_tracking_store(f"sqlite:///{path}").state is TrackingState.ANSWERS


@pytest.mark.parametrize("name", ["mlflow.db", "no/folder/mlflow.db"])
def test_a_file_that_is_not_there_yet_is_not_made(tmp_path: Path, name: str) -> None:
    answer = ask_tracking_store(f"sqlite:///{tmp_path / name}")
    assert (answer.state, answer.reason) == (TrackingState.NOT_THERE_YET, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no database at all, but long enough to be one" * 40, "file is not a database"),
        (b"", "no such table: experiments"),
        (None, "Is a directory"),
    ],
    ids=["text", "empty", "folder"],
)
def test_a_file_that_is_no_store_is_a_sentence(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "mlflow.db"
    path.mkdir() if content is None else path.write_bytes(content)
    answer = ask_tracking_store(f"sqlite:///{path}")
    assert answer.state is TrackingState.SILENT
    assert reason in answer.reason
    assert answer.reason.endswith("move it away, or name another")


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (200, TrackingState.ANSWERS, ""),
        (401, TrackingState.ANSWERS, ""),
        (404, TrackingState.SILENT, "its health page answers 404 Not Found"),
        (503, TrackingState.SILENT, "its health page answers 503 Service Unavailable"),
    ],
)
def test_a_server_is_asked_for_its_health(code: int, state: TrackingState, reason: str) -> None:
    with server(code) as port:
        answer = ask_tracking_store(f"http://me:secret@127.0.0.1:{port}/ml/")
    assert answer.state is state
    assert answer.reason.startswith(reason)
    assert answer.uri == f"http://me:***@127.0.0.1:{port}/ml/"


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_where_nobody_listens_it_is_a_sentence(scheme: str) -> None:
    answer = ask_tracking_store(f"{scheme}://me:secret@127.0.0.1:{closed_port()}/x")
    assert answer.state is TrackingState.SILENT
    assert "Connection refused" in answer.reason
    assert answer.reason.endswith("start it, or name another")
    assert "secret" not in answer.uri + answer.reason


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_told(deaf: int) -> None:
    answer = ask_tracking_store(f"http://127.0.0.1:{deaf}", timeout_seconds=0.1)
    assert answer.state is TrackingState.SILENT
    assert answer.reason.endswith("start it, or name another")


def test_a_database_server_takes_connections(deaf: int) -> None:
    answer = ask_tracking_store(f"postgresql://me:secret@127.0.0.1:{deaf}/mlflow")
    assert answer.state is TrackingState.ANSWERS


@pytest.mark.parametrize(
    ("uri", "state", "reason"),
    [
        ("mlruns", TrackingState.SILENT, "MLflow refuses plain folders"),
        ("file:///tmp/mlruns", TrackingState.SILENT, "write sqlite:///FILE"),
        ("http://[::1", TrackingState.SILENT, "it is no address"),
        ("http://host:port", TrackingState.SILENT, "it is no address"),
        ("http://host name", TrackingState.SILENT, "URL can't contain control characters"),
        ("databricks://profile", TrackingState.UNKNOWN, ""),
    ],
)
def test_other_addresses(uri: str, state: TrackingState, reason: str) -> None:
    answer = ask_tracking_store(uri)
    assert (answer.uri, answer.state) == (uri, state)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/x", "http://host:5000/x"),
        ("https://me@host", "https://me@host"),
        ("postgresql+psycopg://me:se:cret@host:1/db?a=1", "postgresql+psycopg://me:***@host:1/db?a=1"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)  # fmt: skip
def test_a_password_is_not_shown(uri: str, shown: str) -> None:
    assert shown_uri(uri) == shown
