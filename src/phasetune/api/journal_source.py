"""What a study left and leaves, read from its journal and its files, as a tracker's source."""

from collections.abc import Sequence
from contextlib import closing
from itertools import islice

from phasetune.report.tracked.live import Live
from phasetune.report.tracked.study import Known, TrackedStudy
from phasetune.run.events import (
    Event,
    RunDone,
    RunFailed,
    RunReported,
    RunStarted,
    StudyStarted,
)
from phasetune.run.journal import event_of
from phasetune.store.lines import LinesReader
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Record, Status
from phasetune.tracking.teller import Ending

_MOST_ENTRIES = 5000


class JournalSource:
    """Reads at most some thousand entries at once, so that a journal of any size fits in memory."""

    def __init__(self, paths: ResultsPaths, study: StudyPaths, *, position: int) -> None:
        self._paths = paths
        self._study = study
        self._ending: Ending | None = None
        self._has_begun = False
        self._touched: set[str] = set()
        self._ended: set[str] = set()
        self._given: set[str] = set()
        self._begin(position)

    @property
    def position(self) -> int:
        """Up to where the journal was read, in bytes."""
        return self._reader.position

    @property
    def waiting_bytes(self) -> int:
        """How much of the journal was not read yet."""
        return self._reader.waiting_bytes

    def news(self, known: Known) -> Sequence[Record] | None:
        """What changed since the last time; the first time all that there is.

        Raises:
            StoreError: a document of the study is damaged.
        """
        events = self._read()
        if not events and self._has_begun:
            return None
        self._has_begun = True
        for at, event in events:
            self._take(event, at)
        records = self._tracked.changed(self._touched, known, ended=self._ended)
        self._given = {key for key in self._touched if self._tracked.knows(key)}
        self._touched -= self._given  # others wait until a plan that names them is kept
        self._ended &= self._touched
        return records

    def everything(self, known: Known) -> Sequence[Record]:
        """All there is to tell.

        Raises:
            StoreError: a document of the study is damaged.
        """
        return self._tracked.everything(known)

    def told(self) -> None:
        """Let go of the rows that `news` gave."""
        for key in self._given & self._live.rows.keys():
            self._live.rows[key].clear()

    def rewind(self, position: int) -> None:
        """Begin anew, with the journal from here on."""
        self._begin(position)

    def end(self, ending: Ending) -> None:
        """From here on no driver works on the study."""
        self._ending = ending
        self._tracked.resting = Status.FINISHED if ending == "done" else Status.KILLED

    def _begin(self, position: int) -> None:
        self._reader = LinesReader(self._study.events, position=self._within(position))
        self._live = Live()
        self._tracked = TrackedStudy(self._paths, self._study, self._live)
        self._touched, self._ended, self._given, self._has_begun = set(), set(), set(), False
        if self._ending is not None:
            self.end(self._ending)

    def _within(self, position: int) -> int:
        """The position, or the start where the journal is another one, shorter than it was."""
        try:
            return position if position <= self._study.events.stat().st_size else 0
        except OSError:
            return 0

    def _read(self) -> list[tuple[float, Event]]:
        with closing(self._reader.new()) as entries:
            found = [event_of(entry) for entry in islice(entries, _MOST_ENTRIES)]
        return [event for event in found if event is not None]

    def _take(self, event: Event, at: float) -> None:
        if isinstance(event, StudyStarted):
            self._live.active.clear()
        if not isinstance(event, RunStarted | RunReported | RunDone | RunFailed):
            return
        self._touched.add(event.key)
        if isinstance(event, RunStarted):
            self._live.start(event.key, at=at)
        elif isinstance(event, RunReported):
            self._live.report(event.key, event.step, event.metrics, at=at)
        else:
            self._ended.add(event.key)
