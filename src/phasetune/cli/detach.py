"""`phasetune run --detach`: the same command in a session of its own, which outlives this shell.

What can be known without running is refused here, as without `--detach`. Then the same command is
started anew, deaf to the end of the terminal, and this one waits until that is the study's driver,
or has ended.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.cli.guard import same_command
from phasetune.errors import StoreError, StudyError

if TYPE_CHECKING:
    from phasetune.store.paths import ResultsPaths, StudyPaths
    from phasetune.study.load import LoadedStudy

DETACH = "--detach"
DetachOption = Annotated[
    bool,
    typer.Option(DETACH, help="Go on without this shell; says how to watch and stop the study."),
]
_LONGEST_START_SECONDS = 60.0
_MOST_SAID_BYTES = 1 << 20
_POLL_SECONDS = 0.3


def run_detached(loaded: "LoadedStudy", results: str, address: str | None) -> None:
    """Start this very command without `--detach`; returns when the study has its driver.

    Raises:
        PhasetuneError: the study, its data or the results are not what they must be, or another
            driver works on it.
        typer.Exit: the command has ended already, with its exit code.
    """
    from phasetune.run.interrupt import Interrupted
    from phasetune.run.ray.address import named_address
    from phasetune.store.paths import results_at

    paths = results_at(results)
    study = paths.study(loaded.study.name)
    if address is not None:
        named_address(address)
    _refuse_what_is_known(loaded, paths, study)
    with _opened(study.driver_log) as log:
        begins = log.tell()
        process = _started(log)
        try:
            _wait_until_driven(process, study)
        except Interrupted as error:
            _tell(process, loaded.study.name, results)
            raise typer.Exit(error.exit_code) from error
        if process.returncode is not None:
            _hand_on(process.returncode, os.pread(log.fileno(), _MOST_SAID_BYTES, begins))
    _tell(process, loaded.study.name, results)


def _refuse_what_is_known(
    loaded: "LoadedStudy", paths: "ResultsPaths", study: "StudyPaths"
) -> None:
    from phasetune.plan.data import data_state
    from phasetune.run.whereabouts import Follower
    from phasetune.store.digests import remembered_digests
    from phasetune.store.driver_lock import driving

    if Follower(study).whereabouts.is_alive:
        with driving(paths, loaded.study.name):  # which says whom to wait for
            pass
    with remembered_digests(paths.digests, fresh=False):
        state = data_state(loaded)
    if not state.is_known:
        raise StudyError(state.problems)


def _opened(log: Path) -> FileIO:
    """The log, with a line that says what begins."""
    from phasetune.store.durable import make_folder

    make_folder(log.parent)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        file = os.fdopen(os.open(log, flags, 0o600), "r+b", buffering=0)
        file.write(f"=== {when}, {same_command()}\n".encode())
    except OSError as error:
        raise StoreError(f"{log} can't be written: {error.strerror or error}") from error
    return file


def _started(log: FileIO) -> "subprocess.Popen[bytes]":
    """The very command line of this process, with the same environment and working directory."""
    arguments = list(sys.orig_argv[1:])
    arguments.remove(DETACH)
    with _deaf_to_hangups():
        return subprocess.Popen(  # noqa: S603 - what the user typed
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def _deaf_to_hangups() -> Iterator[None]:
    """Within the block the end of the terminal is ignored, and by what is started for ever."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _wait_until_driven(process: "subprocess.Popen[bytes]", study: "StudyPaths") -> None:
    """Or until it has ended, or for a minute: large data may take longer to be hashed."""
    from phasetune.run.whereabouts import driver_of

    until = time.monotonic() + _LONGEST_START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        owner = driver_of(study)
        if owner is not None and owner.pid == process.pid:
            return
        time.sleep(_POLL_SECONDS)


def _hand_on(code: int, said: bytes) -> None:
    """What a command said that has ended already, and its exit code."""
    typer.echo(said, err=code != 0, nl=False)
    raise typer.Exit(code if code >= 0 else 128 - code)


def _tell(process: "subprocess.Popen[bytes]", study: str, results: str) -> None:
    from phasetune.store.paths import results_as_typed

    log = results_as_typed(results).study(study).driver_log
    of_study = [results, "--study", study]
    typer.echo(f"Study {study} runs on, as process {process.pid}; log: {log}")
    typer.echo(f"Watch it: {shlex.join(['phasetune', 'status', *of_study, '--watch'])}")
    typer.echo(f"Stop it:  {shlex.join(['phasetune', 'stop', *of_study])}")
