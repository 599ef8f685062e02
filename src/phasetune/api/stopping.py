"""Stop a study that another process runs, on this machine or on another one with the same storage.

What it computed is kept: its runs leave checkpoints, and the same command goes on from them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from phasetune.errors import StudyError
from phasetune.report.document import chosen_studies
from phasetune.run.interrupt import GRACE_SECONDS
from phasetune.run.stop_request import ask_to_stop
from phasetune.run.whereabouts import Follower
from phasetune.store.driver_lock import begun_studies
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at

WAIT_SECONDS = 60.0 + GRACE_SECONDS
_POLL_SECONDS = 0.2
_POLL_SECONDS_ELSEWHERE = 1.0


class DrivenStudy:
    """A study that is watched, and the driver that its lock named when that began."""

    def __init__(self, follower: Follower, owner: Owner) -> None:
        self.paths = follower.paths
        self.owner = owner
        self._follower = follower

    @property
    def name(self) -> str:
        """The study's name."""
        return self.paths.root.name

    @property
    def is_driven(self) -> bool:
        """Whether that driver, as far as can be known from here, still has the study."""
        where = self._follower.whereabouts
        return where.owner == self.owner and where.is_alive is not False


def stop_study(
    results: str | Path,
    study: str | None = None,
    *,
    at_once: bool = False,
    wait_seconds: float = WAIT_SECONDS,
) -> bool:
    """Ask the driver of a study to end at a checkpoint, and wait until it has; `study` where
    several run. To ask again changes nothing. With `at_once`, also where it was asked before, it
    waits for no checkpoint, so runs go on from their last ones.

    Returns:
        True where nobody drives it any more, or nobody did; False where its driver has not ended
        in this time.

    Raises:
        StudyError: several studies run.
        StoreError: there is no such study, its driver belongs to somebody else, or the results
            can't be written.
    """
    driven = driven_study(results, study)
    if driven is None:
        return True
    ask_to_stop(driven.paths, driven.owner, at_once=at_once)
    return has_ended(driven, wait_seconds=wait_seconds)


def driven_study(results: str | Path, study: str | None) -> DrivenStudy | None:
    """The one study that somebody drives, or may drive; None where nobody does.

    Raises:
        StudyError: there are several.
        StoreError: there is no such study.
    """
    driven = list(_driven(results_at(results), study))
    if len(driven) > 1:
        running = "; ".join(f"{one.name} ({one.owner})" for one in driven)
        raise StudyError(f"several studies run: {running}; choose one by --study NAME")
    return driven[0] if driven else None


def has_ended(
    driven: DrivenStudy, *, wait_seconds: float, meanwhile: Callable[[], object] = lambda: None
) -> bool:
    """Wait for the driver's end, and call `meanwhile` now and then; whether it came in time."""
    until = time.monotonic() + wait_seconds
    pause = _POLL_SECONDS if driven.owner.is_of_this_machine else _POLL_SECONDS_ELSEWHERE
    while driven.is_driven:
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        meanwhile()
    return True


def _driven(paths: ResultsPaths, study: str | None) -> Iterator[DrivenStudy]:
    for follower in map(Follower, _studies(paths, study)):
        where = follower.whereabouts
        if where.owner is not None and where.is_alive is not False:
            yield DrivenStudy(follower, where.owner)


def _studies(paths: ResultsPaths, study: str | None) -> Sequence[StudyPaths]:
    """Also those that are so new that nothing but their driver's lock or lease is there."""
    begun = begun_studies(paths)
    if study is not None and study in begun:
        return [paths.study(study)]
    known = {one.root.name for one in paths.studies()}
    if study is not None or not known | begun:
        return chosen_studies(paths.root, study)
    return [paths.study(name) for name in sorted(known | begun)]
