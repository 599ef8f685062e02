"""A tracker that does as a test says, and what the lines of the tracker `jsonl` come to."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasetune.store.lines import LinesReader
from phasetune.tracking.contract import Forgotten, Record, Series

Hook = Callable[[str, str], object]


@dataclass(kw_only=True)
class Known:
    """A record as a store has it."""

    parent: str | None
    kind: str
    name: str
    times_opened: int = 1
    statuses: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    steps: dict[str, list[int]] = field(default_factory=dict)
    rows: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.statuses[-1] if self.statuses else "RUNNING"


def records_of(path: Path, study: str = "scripted") -> dict[str, Known]:
    """What the lines of the tracker `jsonl` come to, by record."""
    found: dict[str, Known] = {}
    for entry in LinesReader(path).new():
        if entry["study"] == study:
            _take(found, entry)
    return found


def _take(found: dict[str, Known], entry: dict[str, Any]) -> None:
    name = entry["record"]
    if entry["call"] == "open" and name in found:
        found[name].times_opened += 1
    elif entry["call"] == "open":
        found[name] = Known(parent=entry["parent"], kind=entry["kind"], name=entry["name"])
    elif entry["call"] == "log":
        found[name].steps.setdefault(entry["stage"], []).extend(entry["steps"])
        found[name].rows.setdefault(entry["stage"], []).extend(entry["metrics"])
    else:
        known = found[name]
        known.statuses.append(entry["status"])
        known.params, known.model = entry["params"], entry["model"]
        known.tags |= entry["tags"]
        known.metrics |= entry["metrics"]
        known.artifacts |= entry["artifacts"]


def faults_of(found: Mapping[str, Known]) -> list[str]:
    """What must never be: a record begun twice, a step told twice, something left running."""
    faults = [f"{name} begun twice" for name, known in found.items() if known.times_opened > 1]
    faults += [f"{name} still runs" for name, known in found.items() if known.status == "RUNNING"]
    for name, known in found.items():
        for stage, steps in known.steps.items():
            if steps != sorted(set(steps)):
                faults.append(f"{name} has steps {steps} of {stage}")
    names = Counter(
        (k.parent, k.name) for k in found.values() if k.tags.get("superseded") != "true"
    )
    return faults + [f"{name} twice" for name, count in names.items() if count > 1]


@dataclass(kw_only=True)
class Scripted:
    """A tracker whose store is `known`; `before` is called with the name of each call and of the
    record, and may raise. `threads` are those that called it.
    """

    name: str = "jsonl"
    place: str = "memory"
    known: dict[str, Known] = field(default_factory=dict)
    before: Hook = lambda call, record: None
    calls: list[tuple[str, str]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def connect(self) -> None:
        self._call("connect", "")

    def open(self, record: Record, parent: str | None) -> str:
        self._call("open", record.id)
        if record.id not in self.known:
            self.known[record.id] = Known(parent=parent, kind=record.kind, name=record.name)
        return record.id

    def last_steps(self, handle: str) -> Mapping[str, int]:
        self._call("last_steps", handle)
        if handle not in self.known:
            raise Forgotten(f"no record {handle}")
        return {stage: steps[-1] for stage, steps in self.known[handle].steps.items()}

    def log(self, handle: str, series: Series) -> None:
        self._call("log", handle)
        self.known[handle].steps.setdefault(series.stage, []).extend(series.steps)
        self.known[handle].rows.setdefault(series.stage, []).extend(series.metrics)

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,
        series: Sequence[Series] = (),
    ) -> None:
        for part in series:
            self.log(handle, part)
        self._call("update", handle)
        known = self.known[handle]
        known.statuses.append(str(record.status))
        known.tags |= record.tags
        known.metrics |= record.metrics

    def close(self) -> None:
        self._call("close", "")

    def _call(self, call: str, record: str) -> None:
        self.threads.add(threading.get_ident())
        self.calls.append((call, record))
        self.before(call, record)
