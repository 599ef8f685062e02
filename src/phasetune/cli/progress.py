"""One plain line per event that matters to a person."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

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
    WaveStarted,
)
from phasetune.store.masking import masked
from phasetune.store.paths import ResultsPaths
from phasetune.study.schema import Study


class _Console(Console):
    """One whose reader may leave, as behind `| head`: the study goes on."""

    def on_broken_pipe(self) -> None:
        _print_to_nobody()


def _print_to_nobody() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Progress:
    """Prints events; says once whether the study is new or goes on.

    `num_ended` runs were executed, well or not; `has_decided_anew` where a decision is new.
    """

    def __init__(self, study: Study, results: Path) -> None:
        self._study = study
        self._paths = ResultsPaths(results).study(study.name)
        self._had_started = self._paths.study.exists()
        self._console = _Console(highlight=False, soft_wrap=True)
        self._has_opened = False
        self._phase_name = ""
        self._missing = 0
        self._ended = 0
        self.num_ended = 0
        self.has_decided_anew = not self._had_started

    def notify(self, event: Event) -> None:
        """Print a line for the event, or none."""
        if isinstance(event, PhaseStarted):
            self._phase(event)
        elif isinstance(event, WaveStarted):
            self._wave(event)
        elif isinstance(event, RunDone):
            self._line(f"done    {self._counter()} {event.label}{self._result(event)}")
        elif isinstance(event, RunFailed):
            self._line(f"FAILED  {self._counter()} {event.label}: {event.failure.message}")
        elif isinstance(event, PhaseDecided):
            self._decided(event)
        elif isinstance(event, Noticed):
            self._line(event.message)

    def _phase(self, event: PhaseStarted) -> None:
        if event.missing:
            self._open()
        self._phase_name, self._missing, self._ended = event.phase, event.missing, 0
        trials = f"{event.trials} trial" + ("" if event.trials == 1 else "s")
        shared = ", ".join(_shared(stage) for stage in event.sharing)
        todo = f"{event.missing} to execute" if event.missing else "all stored"
        self._line(f"phase {event.position} {event.phase}: {trials}; {shared}; {todo}")

    def _wave(self, event: WaveStarted) -> None:
        self._open()
        if event.phase != self._phase_name:  # the final, or one trial alone, starts no phase
            self._phase_name, self._missing, self._ended = event.phase, 0, 0
        self._missing = max(self._missing, self._ended + event.runs)

    def _open(self) -> None:
        if self._has_opened:
            return
        self._has_opened = True
        goes_on = "goes on: what is stored is not run again" if self._had_started else "is new"
        self._line(f"study {self._study.name} {goes_on}; results in {self._paths.root}")

    def _decided(self, event: PhaseDecided) -> None:
        self.has_decided_anew |= event.again
        again = " (decided again: what it was decided from has changed)" if event.again else ""
        self._line(f"phase {event.phase}: {event.sentences[0]}{again}")

    def _counter(self) -> str:
        self._ended += 1
        self.num_ended += 1
        width = len(str(self._missing))
        return f"{self._ended:>{width}}/{max(self._missing, self._ended)}"

    def _result(self, event: RunDone) -> str:
        return f"  {duration_text(event.seconds)}{_one_metric(event.metrics, self._study)}"

    def _line(self, text: str) -> None:
        try:
            self._console.print(masked(text), markup=False)
        except OSError:
            _print_to_nobody()


def _shared(stage: StageSharing) -> str:
    if stage.asked == stage.distinct:
        return f"{stage.stage} {stage.distinct}"
    return f"{stage.stage} {stage.distinct} for {stage.asked}"


def _one_metric(metrics: Mapping[str, float], study: Study) -> str:
    """The objective where the stage has it, else a loss, else its first metric."""
    name = study.objective.metric
    if name not in metrics:
        name = min(metrics, key=lambda metric: "loss" not in metric, default="")
    return f"  {name} {metrics[name]:.4f}" if name else ""
