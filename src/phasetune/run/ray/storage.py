"""Where Tune keeps an attempt: in its folder, or below the URI that the results lie at.

Tune pickles the file system that it is given into the attempt. One that is opened from a URI and
the environment has no secret in it: each process finds the credentials in its own environment.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.store.remote.mirror import mirror_of


@dataclass(frozen=True, kw_only=True)
class TuneStorage:
    """`path` as Tune takes it, together with the file system of pyarrow that it is a path of; None
    for this machine's own.
    """

    path: str
    file_system: Any


def tune_storage(folder: Path) -> TuneStorage:
    """Where Tune finds what this program calls `folder`."""
    mirror = mirror_of(folder)
    if mirror is None:
        return TuneStorage(path=str(folder), file_system=None)
    file_system, path = mirror.objects.located(mirror.name(folder))
    return TuneStorage(path=path, file_system=file_system)


@contextmanager
def own_staging() -> Iterator[None]:
    """Within the block Tune prepares its files where no other driver of the same cluster does.

    It names that folder by the second in which it starts and by the attempt's number, below what
    all drivers of one machine share: two studies would bring each other's files home.
    """
    from ray.tune import utils

    second, own = utils.date_str, secrets.token_hex(4)
    utils.date_str = lambda: f"{second()}-{own}"
    try:
        yield
    finally:
        utils.date_str = second
