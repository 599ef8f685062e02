"""The journal of a study: each event as a line of `logs/events.jsonl`, checked against its type.

Displays of another process, trackers and `--log-format json` read it; nothing is decided from it,
so a study whose journal is gone goes on as if nothing was.

A command that finds nothing to do leaves no lines: what happens before there is news is kept back
until there is some.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from phasetune.errors import StoreError
from phasetune.run.events import (
    BackendStarting,
    Event,
    PhaseDecided,
    RunDone,
    RunFailed,
    WaveStarted,
)
from phasetune.store.lines import LinesWriter
from phasetune.store.masking import masked_content


def _name(kind: type[Event]) -> str:
    """`RunDone` is written as `run_done`."""
    name = kind.__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")


_KINDS: dict[str, type[Event]] = {_name(kind): kind for kind in get_args(Event)}
_NUMBERS = ("metrics", "resources", "test")  # fields that hold nothing to mask
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


def entry_of(event: Event, *, at: float) -> dict[str, Any]:
    """An event as plain values without secrets; `at` is in seconds since 1970."""
    name = _NAMES[type(event)]
    fields = _ADAPTERS[name].dump_python(event, mode="json")
    texts = {name: value for name, value in fields.items() if name not in _NUMBERS}
    return {"time": round(at, 3), "event": name, **fields, **masked_content(texts)}


def event_of(entry: Mapping[str, Any]) -> tuple[float, Event] | None:
    """When, and what; None where an entry is not as `entry_of` makes them."""
    adapter, at = _ADAPTERS.get(str(entry.get("event"))), entry.get("time")
    if adapter is None or not isinstance(at, int | float):
        return None
    fields = {name: value for name, value in entry.items() if name not in ("time", "event")}
    try:
        return float(at), adapter.validate_python(fields)
    except (ValidationError, RecursionError):
        return None


class Journal:
    """A listener that keeps events; a disk that refuses takes no study down."""

    def __init__(self, path: Path) -> None:
        self._writer = LinesWriter(path)
        self._held_back: list[dict[str, Any]] = []
        self._has_news = False
        self._lock = threading.RLock()  # a signal may tell of something in the middle of telling

    def notify(self, event: Event) -> None:
        """Append the event, after those that were kept back."""
        entry = entry_of(event, at=time.time())
        with self._lock:
            self._held_back.append(entry)
            self._has_news = self._has_news or is_news(event)
            if self._has_news:
                self._write()

    def _write(self) -> None:
        entries, self._held_back = self._held_back, []
        try:
            self._writer.append(entries)
        except (OSError, StoreError):
            self._held_back = [*entries, *self._held_back]

    def close(self) -> None:
        """Leave the file."""
        self._writer.close()


def is_news(event: Event) -> bool:
    """Whether something runs or was decided now; then the study's folder is this driver's."""
    if isinstance(event, PhaseDecided):
        return event.is_new or event.again
    return isinstance(event, BackendStarting | WaveStarted | RunDone | RunFailed)
