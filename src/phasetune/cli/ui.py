"""The command `phasetune ui`: MLflow's own pages on the store of these results, on this machine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.storage import ResultsArgument, StudyOption
from phasetune.errors import StoreError, StudyError

if TYPE_CHECKING:
    from phasetune.store.paths import ResultsPaths
    from phasetune.tracking.mlflow.store import MlflowPlace

_HOST = "127.0.0.1"
_FIRST_PORT, _PORTS = 5000, 100
_LONGEST_START_SECONDS = 60.0
_LONGEST_END_SECONDS = 5.0


def ui(
    results: ResultsArgument,
    study: StudyOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=1,
            max=65535,
            help=f"Where to listen on {_HOST}; default: the first that is free from {_FIRST_PORT}.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Open MLflow's pages on these results; for this machine alone, until Ctrl-C."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.run.interrupt import Interrupted
        from phasetune.store.paths import results_at

        place = _place(results_at(results), study)
        if place.is_server:
            typer.echo(
                f"These results are told to a server, which has pages of its own: {place.shown}"
            )
            return
        if place.file is not None and not place.file.is_file():
            raise StoreError(
                f"{place.file} is not there: no study of {results} was told to MLflow; type: "
                f"phasetune sync {results}"
            )
        try:
            _serve(place, _free_port(port))
        except Interrupted as error:
            if error.signum != signal.SIGINT:
                raise typer.Exit(error.exit_code) from error


def _place(paths: "ResultsPaths", study: str | None) -> "MlflowPlace":
    """The one store that the study, or each study of the results, is told to."""
    from phasetune.api.tracked_by import tracked_by
    from phasetune.report.document import chosen_studies, kept_study
    from phasetune.tracking.mlflow.store import mlflow_place

    kept = [kept_study(found) for found in chosen_studies(paths.root, study)]
    targets = [tracked_by(one) for one in kept]
    places = {mlflow_place(told["mlflow"], paths) for told in targets if "mlflow" in told}
    if not places and paths.mlflow.is_file():  # by `phasetune sync --tracking mlflow`
        return mlflow_place(None, paths)
    if not places:
        raise StudyError(f"no study of {paths.shown} is tracked by mlflow; see `tracking:` in it")
    if len(places) > 1:
        names = ", ".join(one.name for one in kept)
        raise StudyError(f"the studies {names} are told to several stores; choose by --study NAME")
    return places.pop()


def _free_port(wanted: int | None) -> int:
    if wanted is not None:
        if _is_free(wanted):
            return wanted
        raise StudyError(f"port {wanted} of {_HOST} is taken; name another, or leave --port out")
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        if _is_free(port):
            return port
    last = _FIRST_PORT + _PORTS - 1
    raise StudyError(f"ports {_FIRST_PORT} to {last} of {_HOST} are taken; name one by --port")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError:
            return False
    return True


def _serve(place: "MlflowPlace", port: int) -> None:
    """Run MLflow's server until it is asked to end."""
    address = f"http://{_HOST}:{port}"
    typer.echo(f"Starting MLflow on {place.shown} ...")
    with tempfile.TemporaryFile("w+") as log, _server(place, port, log) as server:
        if not _answers(server, address):
            raise StudyError(f"MLflow's server did not start: {_last_line(log)}")
        typer.echo(f"{address} shows it, to this machine alone. Ctrl-C ends it.")
        server.wait()
        raise StudyError(f"MLflow's server ended by itself: {_last_line(log)}")


@contextmanager
def _server(place: "MlflowPlace", port: int, log: IO[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """The server and whatever it starts, which are gone after the block."""
    server = subprocess.Popen(  # noqa: S603 - MLflow's own command
        [sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(port)],
        env={**os.environ, **_settings(place)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        _end(server)


def _settings(place: "MlflowPlace") -> dict[str, str]:
    """By the environment, since anybody can see the arguments of a process, and a URI may hold a
    password.
    """
    artifacts = (
        {} if place.artifacts is None else {"MLFLOW_ARTIFACTS_DESTINATION": str(place.artifacts)}
    )
    return {
        **artifacts,
        "MLFLOW_BACKEND_STORE_URI": place.uri,
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
    }


def _answers(server: "subprocess.Popen[bytes]", address: str) -> bool:
    from phasetune.run.doctor.tracking_store import TrackingState, ask_tracking_store

    until = time.monotonic() + _LONGEST_START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        if ask_tracking_store(address).state is TrackingState.ANSWERS:
            return True
        time.sleep(0.2)
    return False


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the whole group: MLflow's server starts workers of its own."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_LONGEST_END_SECONDS)


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
