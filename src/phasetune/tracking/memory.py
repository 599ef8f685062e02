"""What one tracker was told of a study, kept with it, so that a study that goes on tells the rest.

It is a file of lines that only grow: each says something of a record, or up to where the study's
journal was told. A line that a crash or a full disk took away is told again, which changes nothing:
the tracker finds what it has by id, and knows its own last steps.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from phasetune.errors import StoreError
from phasetune.stage.canonical import digest
from phasetune.store.documents import document_digest
from phasetune.store.durable import withdraw, write_text
from phasetune.store.lines import LinesReader, LinesWriter, line_text
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Kind, Record, Status

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_NAME_LENGTH = 12
_MOST_LINES_PER_RECORD = 20


@dataclass(kw_only=True)
class Remembered:
    """A record as it was last told: `handle` is what the tracker calls it, `steps` the last one per
    stage, `digest` of all else; None where only its beginning was told.
    """

    kind: Kind
    name: str
    parent: str | None
    handle: str
    steps: dict[str, int] = field(default_factory=dict)
    status: Status = Status.RUNNING
    digest: str | None = None


class Memory:
    """What a tracker was told: `records` by id, `position` in the journal in bytes, and whether it
    `is_complete`: nothing was left to tell when it was last told something.
    """

    def __init__(self, study: StudyPaths, *, tracker: str, place: str) -> None:
        name = f"{tracker}-{digest(place)[:_NAME_LENGTH]}.jsonl"
        self.path = study.tracking / name
        self.records: dict[str, Remembered] = {}
        self.position = 0
        self.is_complete = False
        self._writer = LinesWriter(self.path)
        lines = 0
        for entry in LinesReader(self.path).new():
            lines += 1
            with suppress(ValueError, KeyError, TypeError):
                self._take(entry)
        if lines > _MOST_LINES_PER_RECORD * (len(self.records) + 1):
            self._shorten()

    def begin(self, record: Record, handle: str) -> None:
        """Remember that a record was begun."""
        self._remember(
            {
                "id": record.id,
                "kind": record.kind,
                "name": record.name,
                "parent": record.parent,
                "handle": handle,
            }
        )

    def reach_step(self, record: str, stage: str, step: int) -> None:
        """Remember the last step of a stage that was told."""
        self._remember({"id": record, "steps": {stage: step}})

    def update(self, record: Record) -> None:
        """Remember what was told of a record besides its steps."""
        self._remember(
            {"id": record.id, "status": str(record.status), "digest": record_digest(record)}
        )

    def reach(self, position: int) -> None:
        """Remember up to where the journal was told."""
        if position != self.position:
            self._remember({"position": position})

    def complete(self) -> None:
        """Remember that nothing is left to tell."""
        if not self.is_complete:
            self._remember({"complete": True})

    def drop(self) -> None:
        """Forget all of it."""
        self.close()
        self.records, self.position, self.is_complete = {}, 0, False
        with suppress(StoreError):
            withdraw(self.path)

    def close(self) -> None:
        """Leave the file."""
        self._writer.close()

    def _remember(self, entry: Mapping[str, Any]) -> None:
        self._take(entry)
        with suppress(OSError, StoreError):
            self._writer.append([entry])

    def _take(self, entry: Mapping[str, Any]) -> None:
        """Take what an entry says.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        if "position" in entry:
            self.position = int(entry["position"])
        elif "handle" in entry:
            self._take_beginning(entry)
        elif "id" in entry:
            self._take_rest(self.records[entry["id"]], entry)
        self.is_complete = entry.get("complete") is True  # until something else is told

    def _take_beginning(self, entry: Mapping[str, Any]) -> None:
        parent = entry["parent"]
        begun = Remembered(
            kind=_KINDS[entry["kind"]],
            name=str(entry["name"]),
            parent=None if parent is None else str(parent),
            handle=str(entry["handle"]),
        )
        self._take_rest(begun, entry)
        self.records[str(entry["id"])] = begun

    def _take_rest(self, found: Remembered, entry: Mapping[str, Any]) -> None:
        found.steps |= {str(stage): int(step) for stage, step in entry.get("steps", {}).items()}
        found.status = Status(entry.get("status", found.status))
        found.digest = entry.get("digest", found.digest)

    def _shorten(self) -> None:
        """Write the file anew, one line per record; where that can't be done it stays."""
        entries: list[Mapping[str, Any]] = [
            {"id": name, **vars(found)} for name, found in self.records.items()
        ]
        entries.append({"position": self.position})
        if self.is_complete:
            entries.append({"complete": True})
        with suppress(StoreError):
            write_text(self.path, "".join(map(line_text, entries)))


def record_digest(record: Record) -> str:
    """A digest of all that a record says but its series; files count by size and time."""
    return document_digest(
        {
            "name": record.name,
            "status": str(record.status),
            "times": [record.started, record.ended],
            "params": dict(record.params),
            "tags": dict(record.tags),
            "metrics": dict(record.metrics),
            "artifacts": {name: _traces(path) for name, path in record.artifacts.items()},
            "model": None if record.model is None else _traces(record.model),
        }
    )


def _traces(path: Path) -> list[list[Any]]:
    """Name, size and time of a file, or of each file in a folder."""
    found: list[list[Any]] = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        with suppress(OSError):
            known = file.stat()
            name = file.relative_to(path.parent).as_posix()
            found.append([name, known.st_size, known.st_mtime_ns])
    return found
