"""A small program that ends what is left of a private cluster when its driver is gone.

Most of Ray's processes notice the death of a driver, but its agents linger for a minute, and what a
workload started may stay for ever. So before a cluster this program is started: it waits until the
driver closes its pipe, as the kernel does for one that was killed, gives the cluster some seconds
to end by itself, and then ends what the cluster's raylet started: all of that inherits the raylet's
log, open for writing, in the session folder that bears the driver's process id.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_SECONDS = 5.0
MOST_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def guarded(temporary: Path) -> Iterator[None]:
    """Within the block a guardian looks after a cluster of this process; after it the cluster ends.

    `temporary` is the folder in which Ray makes its session folders.
    """
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", __file__, str(temporary.resolve()), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    process.wait()  # it has left its own child behind, which nobody has to wait for
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()


def guard(temporary: Path, driver: int) -> None:
    """Wait for the end of the driver, then for that of the cluster, and then end what is left."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    sys.stdin.buffer.read()
    ended = time.monotonic()
    while (waited := time.monotonic() - ended) < MOST_SECONDS:
        left = started_by_raylet(temporary, driver)
        if not left:
            return
        for pid in left if waited > GRACE_SECONDS else ():
            _kill(pid)
        time.sleep(_POLL_SECONDS)


def started_by_raylet(temporary: Path, driver: int) -> list[int]:
    """The living processes that hold the log of a raylet that the driver started."""
    log = re.compile(
        rf"{re.escape(str(temporary))}/session_[^/]+_{driver}/logs/raylet\.(out|err)\b"
    )
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [pid for pid in pids if any(log.match(path) for path in _written(pid))]


def _written(pid: int) -> Iterator[str]:
    """The files that a process has open for writing; none where it belongs to somebody else."""
    try:
        numbers = [path.name for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return
    for number in numbers:
        try:
            target = str(Path(f"/proc/{pid}/fd/{number}").readlink())
            if target.startswith("/") and _is_written(Path(f"/proc/{pid}/fdinfo/{number}")):
                yield target
        except OSError:
            continue  # closed meanwhile


def _is_written(information: Path) -> bool:
    """By the line `flags: 0100001` of what the kernel tells of a descriptor."""
    flags = re.search(r"^flags:\s*([0-7]+)", information.read_text(), re.MULTILINE)
    return flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


if __name__ == "__main__":
    if os.fork() == 0:
        guard(Path(sys.argv[1]), int(sys.argv[2]))
