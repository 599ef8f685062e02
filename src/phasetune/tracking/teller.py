"""Tells one tracker what changed of a study, each thing once, and remembers what was told.

A record is begun, or found by its id; of its series only steps behind the last one are told; all
else is told when its digest changed. What a crash left between telling and remembering is settled
by asking the tracker for the last steps that it has, at the first touch of a record in a process.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from phasetune.tracking.contract import (
    MOST_STEPS,
    Forgotten,
    Record,
    Series,
    Tracker,
    Unavailable,
)
from phasetune.tracking.memory import Memory, Remembered, record_digest

STUDY = "study"
"""The id of a study's own record."""

Ending = Literal["done", "interrupted", "refused"]
"""How a command ended; a driver that died was interrupted."""


class Source(Protocol):
    """What a study left and leaves, as records, from a position in its journal on."""

    @property
    def position(self) -> int:
        """Up to where the journal was read, in bytes."""

    @property
    def waiting_bytes(self) -> int:
        """How much of the journal was not read yet."""

    def news(self, known: Mapping[str, Remembered]) -> Sequence[Record] | None:
        """What changed since the last time, parents before children; None where nothing did.

        `known` is what the tracker was told, by id.
        """

    def everything(self, known: Mapping[str, Remembered]) -> Sequence[Record]:
        """All there is to tell, parents before children."""

    def told(self) -> None:
        """What `news` gave was told: the rows of the journal in it are not needed again."""

    def rewind(self, position: int) -> None:
        """Forget what was read, and read the journal from here on."""

    def end(self, ending: Ending) -> None:
        """From here on no driver works on the study."""


class Teller:
    """Tells a tracker. `faults` are what it raised about records, by id; `progress` counts what
    got through to it. `rest` is called after each record.
    """

    def __init__(
        self,
        tracker: Tracker,
        source: Source,
        memory: Memory,
        *,
        on_fault: Callable[[Record, Exception], None],
        rest: Callable[[], object] = lambda: None,
    ) -> None:
        self.tracker = tracker
        self.source = source
        self.memory = memory
        self.faults: dict[str, str] = {}
        self.progress = 0
        self._on_fault = on_fault
        self._rest = rest
        self._is_connected = False
        self._is_left = False
        self._waiting: list[Record] = []
        self._told: dict[str, Record] = {}
        self._last_steps: dict[str, dict[str, int]] = {}

    def connect(self) -> None:
        """Connect where that was not done, and see whether the store still is what it was.

        Raises:
            Unavailable, Forgotten: as the tracker says; `Unavailable` for whatever else it raises.
        """
        if self._is_connected:
            return
        study = self.memory.records.get(STUDY)
        try:
            self.tracker.connect()
            if study is not None:
                self.tracker.last_steps(study.handle)
        except (Unavailable, Forgotten):
            raise
        except Exception as error:
            raise Unavailable(error_text(error)) from error
        self._is_connected = True
        self.progress += 1

    def tell_news(self) -> None:
        """Tell what changed, until nothing does.

        Raises:
            Unavailable, Forgotten: as the tracker says; what was not told is told next time.
        """
        while self._waiting or self._has_news():
            self._tell_waiting()
            self.source.told()
            self.memory.reach(self.source.position)

    def tell_everything(self, ending: Ending) -> None:
        """Tell all that is left, now that a command has ended; what was passed over once more.

        Raises:
            Unavailable, Forgotten: as for `tell_news`.
        """
        self.source.end(ending)
        if self.faults:
            self.source.rewind(0)  # what the journal said of them was passed over too
        self.tell_news()
        self._waiting = list(self.source.everything(self.memory.records))
        self._tell_waiting()
        if not self.faults:
            self.memory.complete()

    def forget(self) -> None:
        """Begin anew: the tracker's store lost what it was told."""
        self.memory.drop()
        self._told.clear()
        self._last_steps.clear()
        self._is_connected = False
        self.read_again()

    def read_again(self) -> None:
        """Read all that the study left once more; nothing is told twice."""
        self._waiting.clear()
        self.source.rewind(0)

    def disconnect(self) -> None:
        """Connect again before the next call."""
        self._is_connected = False

    @property
    def is_connected(self) -> bool:
        """Whether the tracker answered, and did not fail since."""
        return self._is_connected

    @property
    def num_waiting(self) -> int:
        """How many records are to be told of what was read; more may follow."""
        return len(self._waiting)

    def leave(self) -> None:
        """Tell nothing more: from another thread, while a call may be under way."""
        self._is_left = True

    def close(self) -> None:
        """Leave tracker and memory."""
        self.memory.close()
        self.tracker.close()

    def _has_news(self) -> bool:
        news = self.source.news(self.memory.records)
        self._waiting = list(news or ())
        return news is not None

    def _tell_waiting(self) -> None:
        self._waiting.reverse()
        try:
            while self._waiting:
                self._tell_or_pass_over(self._waiting[-1])
                self._waiting.pop()
                self._rest()
        finally:
            self._waiting.reverse()

    def _tell_or_pass_over(self, record: Record) -> None:
        if self._is_left:
            raise Unavailable("the command ended")
        try:
            self._tell(record)
        except (Unavailable, Forgotten):
            raise
        except Exception as error:
            self.faults[record.id] = error_text(error)
            self._on_fault(record, error)
        else:
            self.faults.pop(record.id, None)

    def _tell(self, record: Record) -> None:
        try:
            self._tell_changed(self._handle(record), record)
        except BaseException:
            self._last_steps.pop(record.id, None)  # some of them may have got through
            raise

    def _tell_changed(self, handle: str, record: Record) -> None:
        """The last of its steps go along with all else, where that changed: each call costs."""
        parts = self._untold(handle, record) if record.series else []
        is_changed = self.memory.records[record.id].digest != record_digest(record)
        first = _num_alone(parts) if is_changed else len(parts)
        for part in parts[:first]:
            self.tracker.log(handle, part)
            self._reach(record, [part])
        if is_changed:
            told = self._told.get(record.id)
            self.tracker.update(handle, record, told=told, series=parts[first:])
            self._reach(record, parts[first:])
            self._told[record.id] = replace(record, series=())
            self.memory.update(record)

    def _handle(self, record: Record) -> str:
        if record.id not in self.memory.records:
            above = None if record.parent is None else self.memory.records.get(record.parent)
            if record.parent is not None and above is None:
                raise LookupError(f"{record.parent}, which is above it, was passed over")
            handle = self.tracker.open(record, None if above is None else above.handle)
            self.progress += 1
            self.memory.begin(record, handle)
        return self.memory.records[record.id].handle

    def _untold(self, handle: str, record: Record) -> list[Series]:
        """Its steps that were not told, in parts that are told at once."""
        if record.id not in self._last_steps:
            self._last_steps[record.id] = dict(self.tracker.last_steps(handle))
            self.progress += 1
        last = self._last_steps[record.id]
        return [part for series in record.series for part in _parts(series, last.get(series.stage))]

    def _reach(self, record: Record, parts: Sequence[Series]) -> None:
        """These were told."""
        self.progress += 1
        for part in parts:
            self._last_steps[record.id][part.stage] = part.steps[-1]
            self.memory.reach_step(record.id, part.stage, part.steps[-1])


def num_waiting(records: Sequence[Record], memory: Memory) -> int:
    """How many records say something that the tracker was not told."""
    return sum(_waits(record, memory.records.get(record.id)) for record in records)


def error_text(error: BaseException) -> str:
    """What went wrong, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _waits(record: Record, remembered: Remembered | None) -> bool:
    if remembered is None or remembered.digest != record_digest(record):
        return True
    return any(_rest(series, remembered.steps.get(series.stage)).steps for series in record.series)


def _rest(series: Series, last: int | None) -> Series:
    return series if last is None else series.after(last)


def _parts(series: Series, last: int | None) -> Iterator[Series]:
    """What is behind a step, `MOST_STEPS` at once."""
    rest = _rest(series, last)
    for start in range(0, len(rest.steps), MOST_STEPS):
        end = start + MOST_STEPS
        yield Series(
            stage=rest.stage,
            steps=rest.steps[start:end],
            metrics=rest.metrics[start:end],
            times=rest.times[start:end],
        )


def _num_alone(parts: Sequence[Series]) -> int:
    """How many of these, from the first on, are told on their own, since all are too many."""
    left = len(parts)
    steps = 0
    while left and (steps := steps + len(parts[left - 1].steps)) <= MOST_STEPS:
        left -= 1
    return left
