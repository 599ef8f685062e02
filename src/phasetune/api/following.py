"""Trackers follow a study: each has a thread that tells it what the study's journal says.

Nobody in the study waits for them: not its runs, which report to the driver, and not the driver,
which only appends to the journal. Only while the backend starts, and at the end of a command, is
there a bounded time for them. Nothing is connected before there is news, or something unsent from
before.
"""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from phasetune.api.journal_source import JournalSource
from phasetune.api.tracked_by import tracked_by
from phasetune.errors import PhasetuneError
from phasetune.run.events import BackendStarting, Event, Listener, Noticed
from phasetune.run.journal import event_of, is_news
from phasetune.store.lines import LinesReader
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.load import LoadedStudy
from phasetune.study.trackers import TrackerName
from phasetune.tracking.contract import Tracker
from phasetune.tracking.memory import Memory
from phasetune.tracking.sender import Patience, Sender
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
    study = paths.study(loaded.study.name)
    followers = [
        _Follower(tracker=tracker, paths=paths, study=study)
        for tracker in trackers_of(tracked_by(loaded.study), paths, study)
    ]
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


class Followers:
    """Trackers that follow a study, as one listener.

    What they have to say reaches people with the next event, in the driver's own thread.
    """

    def __init__(self, followers: Sequence["_Follower"], listener: Listener) -> None:
        self._followers = followers
        self._listener = listener
        self._has_started = False
        self._has_ended = False
        if any(follower.has_unsent for follower in followers):
            self._start()

    def notify(self, event: Event) -> None:
        """Start with the first news; wait where what trackers need must be there now."""
        if not self._has_started and is_news(event):
            self._start()
        if isinstance(event, BackendStarting):
            for follower in self._followers:
                follower.sender.wait_until_ready(_CONNECT_SECONDS)
        self._say()

    def end(self, ending: Ending) -> None:
        """Let them tell what is left, for a bounded time; once."""
        if self._has_ended:
            return
        self._has_ended = True
        if not self._has_started:
            return
        for follower in self._followers:
            follower.sender.end(ending)
        for follower in self._followers:
            follower.sender.wait(_PATIENCE[ending])
        self._say()
        for follower in self._followers:
            follower.say_what_waits(ending, self._listener)

    def _start(self) -> None:
        self._has_started = True
        for follower in self._followers:
            follower.sender.start()

    def _say(self) -> None:
        for follower in self._followers:
            with suppress(IndexError):
                while True:
                    self._listener.notify(Noticed(message=follower.said.popleft()))


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

    def say_what_waits(self, ending: Ending, listener: Listener) -> None:
        """Say what the tracker was not told, and how it is told later."""
        if self.memory.is_complete:
            return
        with suppress(PhasetuneError):
            waiting = num_unsent(self.tracker, self.paths, self.study, ending)
            command = f"phasetune sync {shlex.quote(_short(self.paths.root))}"
            records = "1 record waits" if waiting == 1 else f"{waiting} records wait"
            message = (
                f"{records} for tracker {self.tracker.name} ({self.tracker.place}); tell it with "
                f"`{command}`"
            )
            listener.notify(Noticed(message=message))

    def _has_later_news(self) -> bool:
        reader = LinesReader(self.study.events, position=self.memory.position)
        events = (event_of(entry) for entry in reader.new())
        return any(found is not None and is_news(found[1]) for found in events)


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


def _short(folder: Path) -> str:
    """A folder as a person would type it from here."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)
