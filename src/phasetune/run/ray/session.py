"""A Ray cluster for the length of a study: private and local, or one that runs already.

Whoever reaches a cluster and knows its token can run code in it, so a private one listens on the
loopback interface alone, and asks for the token even there.
"""

import contextlib
import logging
import os
from collections.abc import Iterator

from phasetune.errors import StoreError, StudyError
from phasetune.run.ray.address import PRIVATE_SWITCH
from phasetune.run.ray.aside import bounded
from phasetune.run.ray.guardian import guarded
from phasetune.run.ray.joining import Head, reach
from phasetune.run.ray.own_groups import own_groups
from phasetune.run.ray.temporary import own_session, remove_session, temporary_folder
from phasetune.run.ray.token import AUTHENTICATION, keep_token, make_token
from phasetune.run.ray.watch import head_watched, lost_process, shut_down

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}

_PRIVATE = {PRIVATE_SWITCH: "0"}
"""Ray's own switch for machines that form no clusters: what it starts listens on loopback alone."""

ARENAS = "MALLOC_ARENA_MAX"
"""Of glibc, read when a worker starts. With one arena threads, and so the trainable, take memory
from the heap that `allocator` keeps; with one of their own they would map large blocks anew.
Workers of a joined cluster have what its nodes were started with: a runtime environment would cost
a quarter of a second or more at each worker's start, where one is ready else."""

_DEFAULTS = {AUTHENTICATION: "token", ARENAS: "1"}

_PATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "86400"}
"""Where a head is silent for a minute, Ray's core ends the process that has joined, without a word.
`head` says when a head is lost, and that takes less."""

JOIN_SECONDS = 60.0
"""Ray looks 30 s for a node of the cluster on this machine."""


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[str | None]:
    """Start a private local cluster, or join the one at an address; end what was started.

    Gives what should be known of one that was joined, or None.

    What Ray leaves of a private one on the disk is removed, but where it lost one of its processes.
    A process that is connected to Ray already keeps its connection. Where the environment says
    `RAY_AUTH_MODE=disabled`, Ray's own switch, no token is asked for.

    Raises:
        StudyError: the cluster at the address can't be joined.
    """
    chosen = {name: os.environ.get(name) or value for name, value in _DEFAULTS.items()}
    with environment({**ENVIRONMENT, **chosen}):
        import ray

        connected = contextlib.nullcontext() if ray.is_initialized() else _connected(address)
        with connected as warning, head_watched():
            yield warning


def _connected(address: str | None) -> contextlib.AbstractContextManager[str | None]:
    return _private() if address is None else _joined(address)


@contextlib.contextmanager
def _private() -> Iterator[None]:
    _read_environment_anew()
    make_token()
    keep_token()
    with guarded(temporary_folder()):
        try:
            _start()
            yield
        finally:
            session = own_session() if lost_process() is None else None
            shut_down()
            remove_session(session)


@contextlib.contextmanager
def _joined(address: str) -> Iterator[str | None]:
    keep_token()
    head = reach(address)
    mode = "token" if head.asks_for_token else "disabled"
    with environment({AUTHENTICATION: mode, **_PATIENT}):
        _read_environment_anew()
        try:
            _join(head)
            yield head.warning
        finally:
            shut_down()


def _read_environment_anew() -> None:
    """What Ray read of the environment when it was imported may be old."""
    from ray._raylet import Config  # type: ignore[attr-defined]

    Config.initialize("")


def _start() -> None:
    """Whatever keeps a cluster from starting, Ray raises plain exceptions for it.

    Raises:
        StoreError: no cluster can be started now.
    """
    import ray

    try:
        with environment(_PRIVATE), _loopback_alone(), own_groups():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreError(
            f"Ray's cluster could not be started: {first} Nothing is lost; run again"
        ) from error


def _join(head: Head) -> None:
    """Whatever keeps this process from joining, Ray raises plain exceptions for it."""
    import ray

    def join() -> None:
        ray.init(address=head.address, log_to_driver=False, logging_level=logging.ERROR)

    try:
        bounded(join, seconds=JOIN_SECONDS)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudyError(
            f"--address {head.address}: the cluster there can't be joined: {first}; a study is "
            "started on one of its machines: make this one by `RAY_AUTH_MODE=token ray start "
            f"--address {head.address}`, or start the study on the head"
        ) from error


@contextlib.contextmanager
def _loopback_alone() -> Iterator[None]:
    """Within the block Ray takes 127.0.0.1 for this machine's address, also in this process, which
    read the variable when it imported Ray.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


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
