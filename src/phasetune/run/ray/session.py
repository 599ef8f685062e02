"""A Ray cluster for the length of a study: private and local, or one that runs already.

Ray prints boxes, tracebacks and warnings of its own to the terminal. Within `quietly` they go to a
log file in the study's folder; listeners still see the terminal (`loudly`).
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from phasetune.errors import StudyError
from phasetune.store.durable import make_folder

AUTHENTICATION = "RAY_AUTH_MODE"
ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}

ARENAS = "MALLOC_ARENA_MAX"
"""Of glibc, read when a worker starts. With one arena threads, and so the trainable, take memory
from the heap that `allocator` keeps; with one of their own they would map large blocks anew."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a Ray cluster has in all."""

    cpus: float
    gpus: float


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[Cluster]:
    """Start a private local cluster, or join the one at an address; end what was started.

    A process that is connected to Ray already keeps its connection.

    Raises:
        StudyError: no cluster answers at the address.
    """
    joining = {} if address is None else {AUTHENTICATION: "token"}
    arenas = {ARENAS: os.environ.get(ARENAS, "1")}
    with environment({**ENVIRONMENT, **arenas, **joining}):
        import ray

        was_connected = ray.is_initialized()
        if not was_connected:
            _connect(address)
        try:
            _keep_token_to_ourselves()
            found = ray.cluster_resources()
            yield Cluster(cpus=found.get("CPU", 1.0), gpus=found.get("GPU", 0.0))
        finally:
            if not was_connected:
                ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        first = str(error).strip().splitlines()[0]
        raise StudyError(
            f"--address {address}: no Ray cluster could be joined there: {first}; start one with "
            "`ray start --head` and the same RAY_AUTH_MODE=token, or leave --address out"
        ) from error


def _keep_token_to_ourselves() -> None:
    """Ray writes its token readable for everybody; whoever reads it can run code as us."""
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):
        token.chmod(0o600)


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Within the block these variables are set, for this process and those it starts.

    Ray sets its authentication mode itself when it starts a cluster; that is taken back too.
    """
    before = {name: os.environ.get(name) for name in (*variables, AUTHENTICATION)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class Terminal:
    """Takes the terminal from libraries that print, and lends it to those who should."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._streams: tuple[TextIO, TextIO] | None = None

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Within the block what is printed or logged by Ray goes to the log file."""
        make_folder(self._log.parent)
        self._streams = (sys.stdout, sys.stderr)
        with (
            self._log.open("a") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
            _logged_to(file),
        ):
            try:
                yield
            finally:
                self._streams = None

    @contextlib.contextmanager
    def loudly(self) -> Iterator[None]:
        """Within the block the terminal is back."""
        if self._streams is None:
            yield
            return
        out, err = self._streams
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield


@contextlib.contextmanager
def _logged_to(file: TextIO) -> Iterator[None]:
    logger = logging.getLogger("ray")
    before, propagate = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [logging.StreamHandler(file)], False
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = before, propagate
