"""The tracker `tensorboard`: a folder of TensorBoard's for each record, below that of its parent.

What TensorBoard shows: metrics by step, final metrics, a text about each record, and for trials
their parameters beside their final metrics (its page HPARAMS). Files and models are not told.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.lines import LinesReader, LinesWriter
from phasetune.store.masking import masked
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series, Status, Unavailable
from phasetune.tracking.event_file import FILE, EventFile
from phasetune.tracking.origin import study_origin
from phasetune.tracking.places import place_from_results

ABOUT = "about"
_START, _END = "_hparams_/session_start_info", "_hparams_/session_end_info"
_SUCCESS, _FAILURE = 1, 2  # of its enumeration Status
_INDEX = "phasetune-records.jsonl"
_ODD = re.compile(r"[^\w.=+-]")


def tensorboard_folder(target: str | None, study: StudyPaths) -> Path:
    """Where the folders go: the one that was asked for, from the results, else one in the study's
    folder.
    """
    return (
        place_from_results(target, study, tracker="tensorboard") or study.tracking / "tensorboard"
    )


@dataclass(kw_only=True)
class _Told:
    """What an event file has: by tag, the last step with its value or text."""

    file: EventFile
    last: dict[str, tuple[int, float | str]] = field(default_factory=dict)

    def read(self) -> None:
        for event in self.file.events():
            for value in event.summary.value:
                self.last[value.tag] = (event.step, _content(value))


class TensorBoardTracker:
    """Writes event files; several studies may share a folder."""

    name = "tensorboard"

    def __init__(self, folder: Path, *, study: StudyPaths) -> None:
        self.place = masked(str(folder))
        self._root = folder
        self._study = study
        self._index = LinesWriter(folder / _INDEX)
        self._folders: dict[str, str] = {}
        self._taken: set[str] = set()
        self._files: dict[str, _Told] = {}

    def connect(self) -> None:
        """Read which folder belongs to which record."""
        with self._writing():
            origin = study_origin(self._study)
            self._files, self._folders, self._taken = {}, {}, set()
            for entry in LinesReader(self._root / _INDEX).new():
                self._taken.add(str(entry.get("folder")))
                if entry.get("origin") == origin:
                    self._folders[str(entry.get("record"))] = str(entry.get("folder"))

    def open(self, record: Record, parent: str | None) -> str:
        """A folder below the parent's, named as the record, or otherwise if that is taken."""
        with self._writing():
            folder = self._folders.get(record.id)
            if folder is None:
                folder = self._new_folder(record, parent)
                origin = study_origin(self._study)
                self._index.append([{"origin": origin, "record": record.id, "folder": folder}])
                self._taken.add(folder)
                self._folders[record.id] = folder
            if not self._path(folder).exists():
                self._files[folder] = _Told(file=EventFile(self._path(folder)))
                self._files[folder].file.append([])
            return folder

    def _new_folder(self, record: Record, parent: str | None) -> str:
        name = _ODD.sub("_", record.name).strip(".") or record.kind
        folder = name if parent is None else f"{parent}/{name}"
        if folder not in self._taken:
            return folder
        mark = f"{study_origin(self._study)} {record.id}".encode()
        return f"{folder}-{hashlib.sha256(mark).hexdigest()[:8]}"

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """From the event file."""
        with self._writing():
            steps: dict[str, int] = {}
            for tag, (step, content) in self._told(handle).last.items():
                stage, slash, _ = tag.partition("/")
                if slash and isinstance(content, float):
                    steps[stage] = max(steps.get(stage, step), step)
            return steps

    def log(self, handle: str, series: Series) -> None:
        """A scalar `stage/name` for each step, with its time."""
        with self._writing():
            events = [
                _event(at, step, [_scalar(f"{series.stage}/{name}", value)])
                for step, metrics, at in zip(
                    series.steps, series.metrics, series.times, strict=True
                )
                for name, value in metrics.items()
            ]
            self._append(handle, events)

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,  # noqa: ARG002 - the file says it
        series: Sequence[Series] = (),
    ) -> None:
        """Final metrics and texts that the file does not have; parameters and end of a trial."""
        for part in series:
            self.log(handle, part)
        with self._writing():
            at = time.time() if record.ended is None else record.ended
            had = self._told(handle).last
            events = [*_final_metrics(record, had, at), *_about(record, had, at)]
            if record.kind in ("trial", "replicate"):
                events += _hyperparameters(record, had, at)
            if events:
                self._append(handle, events)

    def close(self) -> None:
        """Leave the index; event files are not kept open."""
        self._index.close()

    def _told(self, handle: str) -> _Told:
        path = self._path(handle)
        if not path.exists():
            self._files.pop(handle, None)
            raise Forgotten(f"{path} is gone")
        if handle not in self._files:
            self._files[handle] = _Told(file=EventFile(path))
            self._files[handle].read()
        return self._files[handle]

    def _append(self, handle: str, events: list[Any]) -> None:
        told = self._told(handle)
        told.file.append(events)
        for event in events:
            for value in event.summary.value:
                told.last[value.tag] = (event.step, _content(value))

    def _path(self, handle: str) -> Path:
        return self._root / handle / FILE

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError) as error:
            raise Unavailable(f"TensorBoard's files in {self.place}: {error}") from error


_Had = Mapping[str, tuple[int, float | str]]


def _final_metrics(record: Record, had: _Had, at: float) -> Iterator[Any]:
    """A value that replaces another one is a step behind it."""
    for name, value in record.metrics.items():
        scalar = _scalar(name, value)
        step, before = had.get(name, (-1, ""))
        if repr(before) != repr(_content(scalar)):  # so that NaN is what it is
            yield _event(at, step + 1, [scalar])


def _about(record: Record, had: _Had, at: float) -> Iterator[Any]:
    """Tags and parameters as a table."""
    from tensorboardX.summary import text

    entries = {"status": str(record.status), **record.tags, **record.params}
    rows = "\n".join(f"| {name} | {_cell(entries[name])} |" for name in entries)
    summary = text(ABOUT, f"| {record.kind} | {_cell(record.name)} |\n|---|---|\n{rows}")
    value = summary.value[0]
    step, before = had.get(value.tag, (-1, ""))
    if before != _content(value):
        yield _event(at, step + 1, [value])


def _cell(entry: str) -> str:
    return entry.replace("|", "\\|").replace("\n", " ")


def _hyperparameters(record: Record, had: _Had, at: float) -> Iterator[Any]:
    """The parameters once, and how the trial ended when it did."""
    from tensorboardX.proto.plugin_hparams_pb2 import (
        HParamsPluginData,
        SessionEndInfo,
        SessionStartInfo,
    )

    if _START not in had:
        start = SessionStartInfo(start_time_secs=at if record.started is None else record.started)
        for name, text in record.params.items():
            _set_parameter(start.hparams[name], text)
        yield _event(at, 0, [_plugin(_START, HParamsPluginData(session_start_info=start))])
    if record.status is not Status.RUNNING:
        status = _SUCCESS if record.status is Status.FINISHED else _FAILURE
        end = SessionEndInfo(status=status, end_time_secs=record.ended or 0.0)
        value = _plugin(_END, HParamsPluginData(session_end_info=end))
        step, before = had.get(_END, (-1, ""))
        if before != _content(value):
            yield _event(at, step + 1, [value])


def _set_parameter(parameter: Any, text: str) -> None:
    try:
        parameter.number_value = float(text)
    except ValueError:
        parameter.string_value = text


def _plugin(tag: str, content: Any) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    data = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data))


def _scalar(tag: str, value: float) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary

    return Summary.Value(tag=tag, simple_value=float(value))


def _event(at: float, step: int, values: list[Any]) -> Any:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    return Event(wall_time=at, step=step, summary=Summary(value=values))


def _content(value: Any) -> float | str:
    """A scalar's number as the file keeps it, or a text that stands for the rest."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind == "tensor":
        return b"".join(value.tensor.string_val).decode(errors="replace")
    return str(value.metadata.plugin_data.content.hex())
