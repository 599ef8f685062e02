"""A tracker of one file of JSON lines: each call a line, for whoever reads them by a program."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.lines import LinesReader, LinesWriter
from phasetune.store.masking import masked
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series, Unavailable
from phasetune.tracking.places import place_from_results


def jsonl_file(target: str | None, study: StudyPaths) -> Path:
    """Where the lines go: the file that was asked for, from the results, else one in the study's
    folder.
    """
    asked = place_from_results(target, study, tracker="jsonl")
    return study.tracking / "records.jsonl" if asked is None else asked


class JsonlTracker:
    """Writes calls to a file; studies may share it, since each line names its study.

    A line has `time`, `study`, `record` and `call`: `open` with `parent`, `kind` and `name`; `log`
    with `stage`, `steps`, `metrics` and `times`; `update` with all else that is known.
    """

    name = "jsonl"

    def __init__(self, path: Path, *, study: StudyPaths) -> None:
        self.place = masked(str(path))
        self._path = path
        self._study = study.root.name
        self._writer = LinesWriter(path)
        self._last_steps: dict[str, dict[str, int]] = {}

    def connect(self) -> None:
        """Read what the file holds of this study."""
        self._last_steps = {}
        for entry in LinesReader(self._path).new():
            if entry.get("study") == self._study:
                self._take(entry)

    def open(self, record: Record, parent: str | None) -> str:
        """Begin a record, unless the file has it; it is called by its id."""
        if record.id not in self._last_steps:
            about = {"parent": parent, "kind": record.kind, "name": record.name}
            self._write("open", record.id, about)
            self._last_steps[record.id] = {}
        return record.id

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """The last step per stage, from the lines."""
        if handle not in self._last_steps:
            raise Forgotten(f"{self._path} has no record {handle!r}")
        return dict(self._last_steps[handle])

    def log(self, handle: str, series: Series) -> None:
        """Write the steps, as one line."""
        self._write(
            "log",
            handle,
            {
                "stage": series.stage,
                "steps": list(series.steps),
                "metrics": [dict(row) for row in series.metrics],
                "times": list(series.times),
            },
        )
        self._last_steps[handle][series.stage] = series.steps[-1]

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,
        series: Sequence[Series] = (),
    ) -> None:
        """Write all else that is known, as one line."""
        for part in series:
            self.log(handle, part)
        del told
        self._write(
            "update",
            handle,
            {
                "name": record.name,
                "status": str(record.status),
                "started": record.started,
                "ended": record.ended,
                "params": dict(record.params),
                "tags": dict(record.tags),
                "metrics": dict(record.metrics),
                "artifacts": {name: str(path) for name, path in record.artifacts.items()},
                "model": None if record.model is None else str(record.model),
                "workload": record.workload,
            },
        )

    def close(self) -> None:
        """Leave the file."""
        self._writer.close()

    def _take(self, entry: Mapping[str, Any]) -> None:
        steps = self._last_steps.setdefault(str(entry.get("record")), {})
        told = entry.get("steps")
        if entry.get("call") == "log" and isinstance(told, list) and told:
            stage = str(entry.get("stage"))
            steps[stage] = max(int(told[-1]), steps.get(stage, int(told[-1])))

    def _write(self, call: str, record: str, about: Mapping[str, Any]) -> None:
        entry = {"time": round(time.time(), 3), "study": self._study, "record": record}
        try:
            self._writer.append([{**entry, "call": call, **about}])
        except (OSError, StoreError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Unavailable(f"{self._path} can't be written: {reason}") from error
