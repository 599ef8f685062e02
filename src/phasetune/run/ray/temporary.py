"""Ray's temporary folder: is there room for a private cluster, and what it leaves there.

Ray keeps its logs, its sockets and objects that memory has no room for in a session folder, and
never removes one. On a disk that is nearly full it makes no more objects, and runs wait for ever.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.space import DiskSpace, disk_free, size_text

MOST_USED_SHARE = 0.95
"""Ray's own limit."""

LEAST_FREE_BYTES = 200 * 1024**2
_WAY_OUT = "make room, or name a folder on another disk in RAY_TMPDIR"


def temporary_folder() -> Path:
    """Where Ray makes the session folders of private clusters."""
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir())


def refuse_without_room(
    folder: Path, *, space: Callable[[Path], DiskSpace] = disk_free
) -> str | None:
    """A warning where Ray's temporary folder is on a disk that is nearly full, else None.

    Raises:
        StoreError: there is no room at all.
    """
    found = space(folder)
    free = size_text(found.free)
    if found.free < LEAST_FREE_BYTES:
        raise StoreError(
            f"Ray's temporary folder {folder} has {free} free, and a cluster takes more than "
            f"{size_text(LEAST_FREE_BYTES)}; {_WAY_OUT}"
        )
    used_share = 1.0 - found.free / found.total
    if used_share <= MOST_USED_SHARE:
        return None
    return (
        f"warning: the disk of Ray's temporary folder {folder} is {100 * used_share:.1f}% full, "
        f"{free} are free; above {100 * MOST_USED_SHARE:.0f}% Ray refuses work that needs room "
        f"there; {_WAY_OUT}"
    )


def own_session() -> Path | None:
    """The session folder of the private cluster that this process has started."""
    from ray._private import worker

    node = worker._global_node
    if node is None or not node.all_processes:
        return None
    return Path(node.get_session_dir_path())


def remove_session(session: Path | None) -> None:
    """Remove the session folder of a cluster of this process that has ended, and no other."""
    if session is None or not session.name.endswith(f"_{os.getpid()}"):
        return
    shutil.rmtree(session, ignore_errors=True)
