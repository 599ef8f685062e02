"""Which worker processes of a study live: each has a lock of the study, shared, until it dies.

A driver that was killed leaves workers behind for some seconds, and they keep their GPU and go on
writing. Whoever comes next waits for them. Those on other machines end by themselves when they lose
their driver; the lock is of one machine, also where the results are not.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.lock_file import LockFile, NoLocksError
from phasetune.store.paths import StudyPaths

WAIT_SECONDS = 60.0
SILENT_SECONDS = 1.0
_POLL_SECONDS = 0.1

_held: dict[Path, LockFile] = {}


def count_as_worker(study: StudyPaths) -> None:
    """Be known as a worker of a study from here on, until this process dies.

    Where the lock can't be taken nobody will wait for this one.
    """
    path = study.workers_lock
    if path not in _held:
        with suppress(OSError, StoreError):
            make_folder(path.parent)
            file = LockFile(path, writes=False)
            file.lock(shared=True)
            _held[path] = file


def wait_for_workers(
    study: StudyPaths,
    *,
    tell: Callable[[str], None],
    is_over: Callable[[], bool],
    wait_seconds: float = WAIT_SECONDS,
) -> None:
    """Wait until no worker of an earlier command lives, or `is_over` says that nobody waits.

    `tell` is called once, with a sentence, when that takes more than a second. On a file system
    without locks there is nothing to wait for.

    Raises:
        StoreError: some live still after `wait_seconds`.
    """
    began, is_told = time.monotonic(), False
    while not is_over() and _are_there(study):
        waited = time.monotonic() - began
        if waited > wait_seconds:
            raise StoreError(_still_there(study, waited))
        if not is_told and waited > min(SILENT_SECONDS, wait_seconds):
            is_told = True
            tell(f"waiting for {_named(workers(study))} of an earlier command to end")
        time.sleep(_POLL_SECONDS)


def workers(study: StudyPaths) -> list[int]:
    """The process ids of the workers that can be seen from here."""
    try:
        inode = study.workers_lock.stat().st_ino
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return []
    # such as `3: FLOCK  ADVISORY  READ 4711 00:2d:1234 0 EOF`
    of_file = (row for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}"))
    return sorted({int(row[4]) for row in of_file if int(row[4]) > 0})


def _are_there(study: StudyPaths) -> bool:
    path = study.workers_lock
    if not path.exists():
        return False
    try:
        with closing(LockFile(path, writes=False)) as file:
            file.lock(shared=False)
    except BlockingIOError:
        return True
    except NoLocksError:
        return False
    except OSError as error:
        raise StoreError(
            f"{path} can't be locked: {error.strerror or error}; make the file yours, or delete it "
            "when no worker of the study lives"
        ) from error
    return False


def _still_there(study: StudyPaths, waited: float) -> str:
    found = workers(study)
    pids = " ".join(map(str, found))
    how = f"`kill {pids}`" if found else f"what `fuser {study.workers_lock}` finds where they run"
    return (
        f"{study.root}: {_named(found)} of an earlier command did not end within {waited:.0f} s, "
        f"and may hold a GPU or write; end them with {how}, and run again"
    )


def _named(found: Sequence[int]) -> str:
    if not found:
        return "workers"
    pids = ", ".join(map(str, found))
    return f"{len(found)} worker{'' if len(found) == 1 else 's'} (pid {pids})"
