"""A source of records that a test lists."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Kind, Record, Series, Status
from phasetune.tracking.memory import Memory, Remembered
from phasetune.tracking.teller import Ending

STUDY = Record(id="study", parent=None, kind="study", name="s", status=Status.RUNNING)


def record(kind: Kind, name: str, parent: str, *steps: int) -> Record:
    return Record(
        id=f"{kind}:{name}",
        parent=parent,
        kind=kind,
        name=name,
        status=Status.RUNNING,
        series=(series(*steps),) if steps else (),
    )


def series(*steps: int) -> Series:
    rows = [{"loss": 1.0 / (step + 1)} for step in steps]
    return Series(stage="fit", steps=steps, metrics=rows, times=[float(step) for step in steps])


PHASE = record("phase", "a", "study")


def memory(folder: Path) -> Memory:
    return Memory(StudyPaths(folder), tracker="jsonl", place="memory")


class Listed:
    """Gives batch after batch, each a step of ten bytes in a journal; `last` is all at the end."""

    def __init__(self, *batches: Sequence[Record], last: Sequence[Record] = ()) -> None:
        self.batches = batches
        self.last = last
        self.position = 0
        self.waiting_bytes = 0
        self.ending: Ending | None = None
        self.times_told = 0

    def news(self, known: Mapping[str, Remembered]) -> Sequence[Record] | None:
        number = self.position // 10
        if number >= len(self.batches):
            return None
        self.position += 10
        return self.batches[number]

    def everything(self, known: Mapping[str, Remembered]) -> Sequence[Record]:
        return self.last

    def told(self) -> None:
        self.times_told += 1

    def rewind(self, position: int) -> None:
        self.position = position

    def end(self, ending: Ending) -> None:
        self.ending = ending
