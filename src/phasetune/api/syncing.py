"""Tell trackers what they were not told: a store was down or emptied, or a driver was killed."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from phasetune.api.following import num_unsent, trackers_of
from phasetune.api.journal_source import JournalSource
from phasetune.api.tracked_by import tracked_by, tracking_of_words
from phasetune.errors import StoreError
from phasetune.report.document import chosen_studies, kept_study
from phasetune.run.events import StudyEnded
from phasetune.run.journal import event_of
from phasetune.store.driver_lock import driving
from phasetune.store.lease import Waiting, nobody_is_told
from phasetune.store.lines import last_entry
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at
from phasetune.study.trackers import TrackerName
from phasetune.tracking.contract import Forgotten, Record, Tracker, Unavailable
from phasetune.tracking.memory import Memory
from phasetune.tracking.sender import backoff_seconds
from phasetune.tracking.teller import Ending, Teller

_MOST_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What became of a study and one of its trackers: how many of its `records` still `wait`, and
    why. `tracker` is empty where a whole study was passed over, for the `reason` that is given.
    """

    study: str
    tracker: str
    place: str
    records: int
    waiting: int
    reason: str


def sync(
    results: str | Path,
    study: str | None = None,
    *,
    tracking: Sequence[str] = (),
    wait: Callable[[float], object] = time.sleep,
    tell: Callable[[str], None] = nobody_is_told,
) -> tuple[Synced, ...]:
    """Tell trackers what they were not told of the studies below a results root.

    `tracking` names others than those of the studies: `NAME` or `NAME=PLACE` each. A study whose
    driver lives is passed over: its own trackers follow it. What a driver that died left running is
    told as killed. Between tries in vain it is waited by `wait`, some seconds in all. `tell` is
    told where it takes a while to see whether a driver of another machine lives.

    Raises:
        StoreError: there is no such study, or a document of it is damaged.
        StudyError: a tracker can't be used.
    """
    paths = results_at(results)
    chosen = tracking_of_words(tracking, "--tracking") if tracking else None
    found: list[Synced] = []
    for entry in chosen_studies(paths.root, study):
        found += _synced(paths, entry, chosen, wait, Waiting(tell=tell))
    return tuple(found)


def _synced(
    paths: ResultsPaths,
    study: StudyPaths,
    chosen: Mapping[TrackerName, str | None] | None,
    wait: Callable[[float], object],
    waiting: Waiting,
) -> list[Synced]:
    places = tracked_by(kept_study(study)) if chosen is None else chosen
    trackers = trackers_of(places, paths, study)
    if not trackers:
        return [_passed_over(study, "it is told to no tracker (tracking: none)")]
    with ExitStack() as held:
        try:
            held.enter_context(driving(paths, study.root.name, waiting))
        except StoreError as error:
            return [_passed_over(study, str(error))]
        return [_told(tracker, paths, study, wait) for tracker in trackers]


def _passed_over(study: StudyPaths, reason: str) -> Synced:
    return Synced(study=study.root.name, tracker="", place="", records=0, waiting=0, reason=reason)


def _told(
    tracker: Tracker, paths: ResultsPaths, study: StudyPaths, wait: Callable[[float], object]
) -> Synced:
    memory = Memory(study, tracker=tracker.name, place=tracker.place)
    start = memory.position if memory.is_complete else 0
    source = JournalSource(paths, study, position=start)
    faults: dict[str, str] = {}

    def keep(record: Record, error: Exception) -> None:
        faults.setdefault(record.name, str(error))

    teller, ending = Teller(tracker, source, memory, on_fault=keep), _ending(study)
    reason = _tell(teller, ending, wait)
    if not reason and teller.faults:
        reason = next(iter(teller.faults.values()))
    with suppress(Exception):  # what it holds was counted as told; nothing is left to do about it
        teller.close()
    waiting = num_unsent(tracker, paths, study, ending) if reason else 0
    return Synced(
        study=study.root.name,
        tracker=tracker.name,
        place=tracker.place,
        records=len(memory.records),
        waiting=waiting,
        reason=reason,
    )


def _tell(teller: Teller, ending: Ending, wait: Callable[[float], object]) -> str:
    """Tell all; returns why that could not be done, or nothing."""
    reason = ""
    for tries in range(1, _MOST_TRIES + 1):
        try:
            teller.connect()
            teller.tell_everything(ending)
        except Forgotten as error:
            teller.forget()
            reason = str(error)
        except Unavailable as error:
            teller.disconnect()
            reason = str(error)
        else:
            return ""
        if tries < _MOST_TRIES:
            wait(backoff_seconds(tries))
    return reason


def _ending(study: StudyPaths) -> Ending:
    """How the last command on the study ended; a driver that died was interrupted."""
    last = last_entry(study.events)
    found = None if last is None else event_of(last)
    return found[1].outcome if found and isinstance(found[1], StudyEnded) else "interrupted"
