"""Trackers follow a study: each has a thread that tells it what the study's journal says.

Nobody in the study waits for them: not its runs, which report to the driver, and not the driver,
which only appends to the journal. Only while the backend starts, and at the end of a command, is
there a bounded time for them. Nothing is connected before there is news, or something unsent from
before.
"""

import shlex
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from phasetune.api.journal_source import JournalSource
from phasetune.api.tracked_by import tracked_by
from phasetune.run.events import BackendStarting, Event, Listener, Noticed
from phasetune.run.interrupt import Interrupted
from phasetune.run.journal import event_of, is_news
from phasetune.store.lines import LinesReader
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.load import LoadedStudy
from phasetune.study.trackers import TrackerName
from phasetune.tracking.contract import Tracker
from phasetune.tracking.memory import Memory
from phasetune.tracking.sender import SILENT_SECONDS, Patience, Sender
from phasetune.tracking.teller import Ending, num_waiting

_CONNECT_SECONDS = 60.0
_PATIENCE = {
    "done": Patience(quiet_seconds=15.0, most_seconds=60.0),
    "refused": Patience(quiet_seconds=15.0, most_seconds=60.0),
    "interrupted": Patience(quiet_seconds=5.0, most_seconds=10.0),
}


@contextmanager
def following(
    loaded: LoadedStudy, paths: ResultsPaths, listener: Listener
) -> Iterator["Followers"]:
    """The trackers of a study, as a listener, within the block; `listener` is told what people
    should know of them.

    Raises:
        StudyError: the study names a tracker that can't be used.
    """
    study, places = paths.study(loaded.study.name), tracked_by(loaded.study)
    followers = [
        _Follower(tracker=tracker, paths=paths, study=study)
        for tracker in trackers_of(places, paths, study)
    ]
    for message in _notes(places, paths):
        listener.notify(Noticed(message=message))
    found = Followers(followers, listener)
    try:
        yield found
    except BaseException:
        found.end("interrupted")
        raise
    found.end("done")


def trackers_of(
    places: Mapping[TrackerName, str | None], paths: ResultsPaths, study: StudyPaths
) -> list[Tracker]:
    """Trackers by name and place, none of them connected.

    Raises:
        StudyError: one of them can't be used.
    """
    from phasetune.tracking import trackers

    return [
        trackers.open_tracker(name, place, results=paths, study=study)
        for name, place in places.items()
    ]


def _notes(places: Mapping[TrackerName, str | None], paths: ResultsPaths) -> Iterator[str]:
    from phasetune.tracking.trackers import tracker_notes

    for name, place in places.items():
        yield from tracker_notes(name, place, results=paths)


class Followers:
    """Trackers that follow a study, as one listener.

    What they have to say reaches people with the next event, in the driver's own thread.
    """

    def __init__(self, followers: Sequence["_Follower"], listener: Listener) -> None:
        self._followers = followers
        self._listener = listener
        self._has_started = False
        self._has_news = False
        self._has_ended = False
        if any(follower.has_unsent for follower in followers):
            self._start()

    def notify(self, event: Event) -> None:
        """Start with the first news; wait where what trackers need must be there now."""
        if is_news(event):
            self._has_news = True
            self._start()
        if isinstance(event, BackendStarting):
            for follower in self._followers:
                self._wait_until_ready(follower)
        self._say()

    def end(self, ending: Ending) -> None:
        """Let them tell what is left, for a bounded time; once.

        Where the command had no news, a store that is down is asked no second time. After a second
        signal nobody waits.
        """
        if self._has_ended:
            return
        self._has_ended = True
        if not self._has_started:
            return
        try:
            if not _is_second_signal(sys.exception()):
                self._wait_for_all(ending)
        finally:
            for follower in self._followers:
                follower.sender.leave()

    def _wait_until_ready(self, follower: "_Follower") -> None:
        if not follower.sender.wait_until_ready(SILENT_SECONDS):
            self._notice(follower.sender.what_waits())
            follower.sender.wait_until_ready(_CONNECT_SECONDS - SILENT_SECONDS)

    def _wait_for_all(self, ending: Ending) -> None:
        for follower in self._followers:
            follower.sender.end(ending, insists=self._has_news)
        for follower in self._followers:
            self._wait(follower, ending)
        self._say()
        for follower in self._followers:
            follower.say_what_waits(self._listener)

    def _wait(self, follower: "_Follower", ending: Ending) -> None:
        def say() -> None:
            self._say()
            self._notice(follower.sender.what_waits())

        follower.sender.wait(_PATIENCE[ending], on_slow=say)

    def _notice(self, message: str) -> None:
        self._listener.notify(Noticed(message=message))

    def _start(self) -> None:
        if self._has_started:
            return
        self._has_started = True
        for follower in self._followers:
            follower.sender.start()

    def _say(self) -> None:
        for follower in self._followers:
            with suppress(IndexError):
                while True:
                    self._notice(follower.said.popleft())


@dataclass(kw_only=True)
class _Follower:
    """One tracker that follows a study; `said` is what it has to say to people."""

    tracker: Tracker
    paths: ResultsPaths
    study: StudyPaths
    said: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.memory = Memory(self.study, tracker=self.tracker.name, place=self.tracker.place)
        source = JournalSource(self.paths, self.study, position=self.memory.position)
        self.sender = Sender(self.tracker, source, self.memory, tell=self.said.append)

    @property
    def has_unsent(self) -> bool:
        """Whether a command before left something untold; at a glance, from two files."""
        if not self.study.events.exists():
            return bool(self.memory.records) and not self.memory.is_complete
        return not self.memory.is_complete or self._has_later_news()

    def say_what_waits(self, listener: Listener) -> None:
        """Say that the tracker was not told all, and how it is told later; how much that is would
        take as long to find out as to tell.
        """
        if self.memory.is_complete or not (self.memory.records or self._has_plan()):
            return
        command = f"phasetune sync {shlex.quote(_typed(self.paths))}"
        message = (
            f"tracker {self.tracker.name} ({self.tracker.place}) was not told all yet; tell it "
            f"with `{command}`"
        )
        listener.notify(Noticed(message=message))

    def _has_plan(self) -> bool:
        """Whether there is something to tell at all."""
        return any(self.study.root.glob("phases/*/plan*.json"))

    def _has_later_news(self) -> bool:
        reader = LinesReader(self.study.events, position=self.memory.position)
        events = (event_of(entry) for entry in reader.new())
        return any(found is not None and is_news(found[1]) for found in events)


def _is_second_signal(error: BaseException | None) -> bool:
    return isinstance(error, Interrupted) and error.is_second


def num_unsent(tracker: Tracker, paths: ResultsPaths, study: StudyPaths, ending: Ending) -> int:
    """How many records the tracker was not told, or not all of, as its memory has it.

    Raises:
        StoreError: a document of the study is damaged.
    """
    memory = Memory(study, tracker=tracker.name, place=tracker.place)
    source = JournalSource(paths, study, position=memory.position)
    source.end(ending)
    while source.news(memory.records) is not None:
        pass
    return num_waiting(source.everything(memory.records), memory)


def _typed(results: ResultsPaths) -> str:
    """A results root as a person would type it from here."""
    here, folder = Path.cwd(), results.root
    is_below = results.uri is None and folder.is_relative_to(here)
    return str(folder.relative_to(here)) if is_below else results.shown
