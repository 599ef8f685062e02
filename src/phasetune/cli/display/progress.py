"""What is told while a study runs: one plain line per event, or one JSON object for machines."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO

from rich.console import Console

from phasetune.cli.plan import duration_text
from phasetune.plan.share import StageSharing
from phasetune.run.events import (
    Event,
    Noticed,
    PhaseDecided,
    PhaseStarted,
    RunDone,
    RunFailed,
    StudyStarted,
    WaveStarted,
)
from phasetune.run.journal import entry_of
from phasetune.store.lines import line_text
from phasetune.store.masking import masked


class Narrative:
    """Events as lines; `folder` is the study's, as people should type it.

    Says once whether the study is new or goes on, as soon as there is something to execute.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._started: StudyStarted | None = None
        self._has_opened = False
        self._phase_name = ""
        self._missing = 0
        self._ended = 0

    def lines(self, event: Event) -> list[str]:
        """The lines that tell of the event, without secrets and control characters."""
        return [printable(masked(line)) for line in self._lines(event)]

    def _lines(self, event: Event) -> Iterator[str]:
        if isinstance(event, StudyStarted):
            self._started, self._has_opened = event, False
        elif isinstance(event, PhaseStarted):
            yield from self._phase(event)
        elif isinstance(event, WaveStarted):
            yield from self._wave(event)
        elif isinstance(event, RunDone):
            yield f"done    {self._counter()} {event.label}{self._result(event)}"
        elif isinstance(event, RunFailed):
            yield f"FAILED  {self._counter()} {event.label}: {event.failure.message}"
            yield from (f"    {line}" for line in event.tail)
        elif isinstance(event, PhaseDecided):
            again = " (decided again: what it was decided from has changed)" if event.again else ""
            yield f"phase {event.phase}: {event.sentences[0]}{again}"
        elif isinstance(event, Noticed):
            yield event.message

    def _phase(self, event: PhaseStarted) -> Iterator[str]:
        if event.missing:
            yield from self._open()
        self._phase_name, self._missing, self._ended = event.phase, event.missing, 0
        trials = f"{event.trials} trial" + ("" if event.trials == 1 else "s")
        shared = ", ".join(_shared(stage) for stage in event.sharing)
        todo = f"{event.missing} to execute" if event.missing else "all stored"
        yield f"phase {event.position} {event.phase}: {trials}; {shared}; {todo}"

    def _wave(self, event: WaveStarted) -> Iterator[str]:
        yield from self._open()
        if event.phase != self._phase_name:  # the final, or one trial alone, starts no phase
            self._phase_name, self._missing, self._ended = event.phase, 0, 0
        self._missing = max(self._missing, self._ended + event.runs)

    def _open(self) -> Iterator[str]:
        if self._has_opened or self._started is None:
            return
        self._has_opened = True
        goes_on = "goes on: what is stored is not run again" if self._started.goes_on else "is new"
        yield f"study {self._started.study} {goes_on}; results in {self._folder}"

    def _counter(self) -> str:
        self._ended += 1
        width = len(str(self._missing))
        return f"{self._ended:>{width}}/{max(self._missing, self._ended)}"

    def _result(self, event: RunDone) -> str:
        metric = "" if self._started is None else self._started.metric
        return f"  {duration_text(event.seconds)}{_one_metric(event.metrics, metric)}"


class Progress:
    """Prints a plain line per event that matters to a person."""

    def __init__(self, narrative: Narrative) -> None:
        self._narrative = narrative
        self._console = PatientConsole(file=sys.stdout, highlight=False, soft_wrap=True)

    def notify(self, event: Event) -> None:
        """Print the lines for the event, or none."""
        for line in self._narrative.lines(event):
            self._console.print_line(line)


class JsonLines:
    """Prints each event as the journal keeps it, one JSON object a line."""

    def __init__(self) -> None:
        self._file = sys.stdout

    def notify(self, event: Event) -> None:
        """Print the event."""
        try:
            self._file.write(line_text(entry_of(event, at=time.time())))
            self._file.flush()
        except OSError:
            _print_to_nobody(self._file)


class Counts:
    """What the closing words need: `num_ended` runs were executed, well or not;
    `has_decided_anew` where a decision is new.
    """

    def __init__(self) -> None:
        self.num_ended = 0
        self.has_decided_anew = False

    def notify(self, event: Event) -> None:
        """Count the event."""
        if isinstance(event, StudyStarted):
            self.has_decided_anew |= not event.goes_on
        elif isinstance(event, RunDone | RunFailed):
            self.num_ended += 1
        elif isinstance(event, PhaseDecided):
            self.has_decided_anew |= event.again


class PatientConsole(Console):
    """One whose reader may leave, as behind `| head`, or whose terminal may: the study goes on."""

    def print_line(self, text: str) -> None:
        """Print a line as it is."""
        try:
            self.print(text, markup=False)
        except OSError:
            _print_to_nobody(self.file)

    def on_broken_pipe(self) -> None:
        """Go on without a reader."""
        _print_to_nobody(self.file)


def _print_to_nobody(file: IO[str]) -> None:
    with suppress(OSError, ValueError):  # some streams have no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def printable(text: str) -> str:
    """A line that drives no terminal, whatever wrote it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.expandtabs(4))


def _shared(stage: StageSharing) -> str:
    if stage.asked == stage.distinct:
        return f"{stage.stage} {stage.distinct}"
    return f"{stage.stage} {stage.distinct} for {stage.asked}"


def _one_metric(metrics: Mapping[str, float], objective: str) -> str:
    """The objective where the stage has it, else a loss, else its first metric."""
    name = objective
    if name not in metrics:
        name = min(metrics, key=lambda metric: "loss" not in metric, default="")
    return f"  {name} {metrics[name]:.4f}" if name else ""
