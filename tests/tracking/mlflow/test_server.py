"""Told over HTTP to MLflow's own server, which dies in between, comes back, or is slow."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from phasetune.run.doctor.tracking_store import TrackingState, ask_tracking_store
from phasetune.tracking.contract import Status, Unavailable
from phasetune.tracking.mlflow.store import mlflow_place
from phasetune.tracking.mlflow.tracker import MlflowTracker
from tracking_samples import opened, put_database, results_below, series, trial_record


@contextmanager
def serving(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """MLflow's server with a database in a folder; it and its workers are gone after the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)],
        env={
            **os.environ,
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/server.db",
            "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(port)
        yield server
    finally:
        end(server)


def _await(port: int) -> None:
    until = time.monotonic() + 60
    while ask_tracking_store(f"http://127.0.0.1:{port}").state is not TrackingState.ANSWERS:
        assert time.monotonic() < until
        threading.Event().wait(0.1)


def end(server: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    server.wait(20)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tracker_at(folder: Path, uri: str) -> MlflowTracker:
    results, study = results_below(folder)
    return MlflowTracker(mlflow_place(uri, results), study=study)


class Slow(BaseHTTPRequestHandler):
    """Hands each request on to MLflow's server, a second late."""

    target: ClassVar[int]

    def do_GET(self) -> None:
        self._hand_on()

    def do_POST(self) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        threading.Event().wait(1.0)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with closing(http.client.HTTPConnection("127.0.0.1", self.target)) as server:
            headers = {"Content-Type": "application/json"}
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


def test_a_server_that_dies_and_comes_back_has_all_once(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    put_database(tmp_path / "server.db")
    port = free_port()
    uri, file = f"http://127.0.0.1:{port}", tmp_path / "report.json"
    file.write_text("{}")
    with closing(tracker_at(tmp_path, uri)) as tracker:
        with serving(tmp_path, port) as server:
            tracker.connect()
            handles = opened(tracker)
            tracker.log(handles[2], series([1, 2]))
            end(server)
            with pytest.raises(Unavailable, match=r"Connection|reset|closed"):
                tracker.log(handles[2], series([3]))
            with pytest.raises(Unavailable, match="Connection refused"):
                tracker.connect()
        with serving(tmp_path, port):
            tracker.connect()
            assert opened(tracker) == handles
            assert tracker.last_steps(handles[2]) == {"fit": 2}
            tracker.log(handles[2], series([3]))
            ended = trial_record(status=Status.FINISHED, artifacts={"report.json": file})
            tracker.update(handles[2], ended, told=None)
            client = MlflowClient(uri)
            (experiment,) = (e for e in client.search_experiments() if e.name == "one")
            assert experiment.artifact_location.startswith("mlflow-artifacts:/")
            assert len(client.search_runs([experiment.experiment_id])) == 3
            history = client.get_metric_history(handles[2], "fit/loss")
            assert [metric.step for metric in history] == [1, 2, 3]
            assert client.get_run(handles[2]).info.status == "FINISHED"
            assert [entry.path for entry in client.list_artifacts(handles[2])] == ["report.json"]
            _told_slowly(tmp_path, port, handles)


def _told_slowly(folder: Path, port: int, handles: tuple[str, str, str]) -> None:
    """Each request takes a second, and all of it arrives."""
    Slow.target = port
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with closing(tracker_at(folder, f"http://127.0.0.1:{proxy.server_port}")) as tracker:
            tracker.connect()
            assert tracker.open(trial_record(), handles[1]) == handles[2]
            tracker.log(handles[2], series([4]))
            assert tracker.last_steps(handles[2]) == {"fit": 4}
        proxy.shutdown()


def test_a_server_that_never_answers_is_unavailable_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"me:secret@127.0.0.1:{deaf.getsockname()[1]}"
        with (
            closing(tracker_at(tmp_path, f"http://{address}")) as tracker,
            pytest.raises(Unavailable, match="timed out") as raised,
        ):
            tracker.connect()
    assert "secret" not in str(raised.value) + tracker.place


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_a_server_that_refuses_is_unavailable(status: int, tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with (
            closing(tracker_at(tmp_path, f"http://127.0.0.1:{server.server_port}")) as tracker,
            pytest.raises(Unavailable, match=str(status)),
        ):
            tracker.connect()
        server.shutdown()
