"""Nothing of a private cluster can be reached from another machine."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

LISTENING = "0A"
LOOPBACK = (
    "0100007F",  # 127.0.0.1
    "0000000000000000FFFF00000100007F",  # ::ffff:127.0.0.1
    "00000000000000000000000001000000",  # ::1
)


def listening_sockets() -> dict[str, str]:
    """The address, as the kernel writes it, of each listening socket of this machine."""
    found = {}
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        rows = path.read_text().splitlines()[1:] if path.exists() else []
        for columns in (row.split() for row in rows):
            if columns[3] == LISTENING:
                found[f"socket:[{columns[9]}]"] = columns[1].partition(":")[0]
    return found


def descendants(pid: int) -> Iterator[int]:
    """A process and all that it started, and what these started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from descendants(int(child))


def addresses(pid: int) -> Iterator[str]:
    sockets = listening_sockets()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target in sockets:
            yield sockets[target]


def test_everything_listens_on_the_loopback_interface_alone() -> None:
    import ray

    class Worker:
        def pid(self) -> int:
            return os.getpid()

    remote: Any = ray.remote(Worker)
    worker = remote.remote()
    pid_of_worker = ray.get(worker.pid.remote())
    started = [pid for pid in descendants(os.getpid()) if Path(f"/proc/{pid}").exists()]
    assert pid_of_worker in started
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in started}
    found = {(names[pid], pid, heard) for pid in started for heard in addresses(pid)}
    assert {"gcs_server", "raylet"} <= {name for name, _, _ in found}
    assert pid_of_worker in {pid for _, pid, _ in found}
    assert [row for row in found if row[2] not in LOOPBACK] == []


def test_the_switch_for_it_is_put_back() -> None:
    from ray._private import ray_constants

    assert ray_constants.ENABLE_RAY_CLUSTER
