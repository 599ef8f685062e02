"""The context that a stage sees, the same in both backends; they differ in the channel below it."""

import math
import numbers
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from phasetune.errors import StageError, StoreError
from phasetune.run.checkpoints import SealedCheckpoint, seal
from phasetune.run.watchdog import Watchdog
from phasetune.stage.contract import Fold, Trunk
from phasetune.store.artifacts import Artifact


class Channel(Protocol):
    """A run's line to its backend."""

    def stop_asked(self) -> bool:
        """Whether the driver asks for an end."""

    def is_superseded(self) -> bool:
        """Whether the run was begun anew elsewhere, so that nothing of this try counts."""

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        """Tell of a step; keep the sealed checkpoint before returning."""


class NotKeptError(StoreError):
    """The storage of the results did not take a checkpoint: no fault of the stage."""


class RunStopped(BaseException):
    """Ends a stage that has just handed over the checkpoint that was asked for, or whose
    checkpoints don't count any more.
    """


@dataclass(kw_only=True)
class RunContext:
    """A `StageContext`; also keeps the history that becomes part of the artifact."""

    data: Any
    seed: int
    fold: Fold | None
    device: str
    threads: int
    precision: str
    tf32: bool
    deterministic: bool
    warn_only: bool
    cudnn_benchmark: bool
    parent: Path | None
    output: Path
    checkpoints: Path
    resumed: Path | None
    trunk: Trunk | None
    key: str
    environment: Mapping[str, Any]
    channel: Channel
    watchdog: Watchdog
    saw_stop: bool = False
    _notes: dict[str, bool] = field(default_factory=dict)
    _rows: dict[int, dict[str, float]] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _elapsed_before: float = 0.0

    def begin_with(self, trunk: Artifact) -> None:
        """Take over history, time and notes of a stored trunk."""
        self._rows = {int(row["step"]): dict(row) for row in trunk.history()}
        self._elapsed_before = trunk.duration_seconds
        self._notes = dict.fromkeys(trunk.notes, trunk.is_exact)

    def go_on_from(self, checkpoint: SealedCheckpoint) -> None:
        """Take over history, time and notes from before an interruption."""
        self.resumed = checkpoint.folder
        self._rows = {int(row["step"]): dict(row) for row in checkpoint.history}
        self._elapsed_before = checkpoint.elapsed_seconds
        self._notes = dict(checkpoint.notes)

    @property
    def is_on_trunk(self) -> bool:
        """Whether this call makes a trunk, and not what the run leaves."""
        return self.trunk is not None and self.trunk.until is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted, in order."""
        return tuple(self._notes)

    @property
    def is_exact(self) -> bool:
        """Whether nothing that was noted has a say in the bits."""
        return all(self._notes.values())

    def note(self, message: str, *, is_exact: bool = True) -> None:
        """Put a sentence into the run's record, once."""
        self._notes[message] = is_exact and self._notes.get(message, True)

    @property
    def elapsed_seconds(self) -> float:
        """Time spent on this run, interruptions left out."""
        return self._elapsed_before + time.monotonic() - self._started

    @property
    def history(self) -> list[dict[str, float]]:
        """One row per step, the last report of it."""
        return [self._rows[step] for step in sorted(self._rows)]

    def report(
        self, metrics: Mapping[str, float], *, step: int, checkpoint: Path | None = None
    ) -> None:
        """Report flat metrics of a step, and a folder to go on from.

        Raises:
            StageError: metrics are not flat numbers, the checkpoint is no folder, or a loss is not
                finite: nothing good comes of going on, so that ends the run.
        """
        if isinstance(step, bool) or not isinstance(step, int):
            raise StageError(f"report: step must be a whole number, but is {step!r}")
        checked = checked_metrics(metrics, source="report")
        if "step" in checked:
            raise StageError("report: no metric can be named 'step'; give the step as step=...")
        _refuse_broken_loss(checked, step)
        self._rows[step] = {**checked, "step": step}
        self.watchdog.rearm()
        if checkpoint is not None:
            self._seal(checkpoint, step)
        self._send(self._rows[step], checkpoint)
        self.watchdog.rearm()
        if checkpoint is not None and self.channel.stop_asked():
            raise RunStopped

    def should_stop(self) -> bool:
        """Whether the driver asks for a checkpoint and an end."""
        self.saw_stop = self.saw_stop or self.channel.stop_asked()
        return self.saw_stop

    def _send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        try:
            self.channel.send(row, checkpoint)
        except (OSError, StoreError) as error:
            if checkpoint is None:
                raise
            raise NotKeptError(f"the checkpoint can't be kept: {error}") from error

    def _seal(self, checkpoint: Path, step: int) -> None:
        if not checkpoint.is_dir():
            raise StageError(f"report: checkpoint must be a folder, but {checkpoint} is none")
        seal(
            checkpoint,
            key=self.key,
            environment=self.environment,
            step=step,
            history=self.history,
            elapsed_seconds=self.elapsed_seconds,
            notes=self._notes,
        )


def _refuse_broken_loss(metrics: Mapping[str, float], step: int) -> None:
    for name, value in metrics.items():
        if (name == "loss" or name.endswith("_loss")) and not math.isfinite(value):
            raise StageError(
                f"report: metric {name!r} must be finite, but is {value} at step {step}; a lower "
                "learning rate may help, or another name where it may be so"
            )


def checked_metrics(metrics: object, *, source: str) -> dict[str, float]:
    """Metrics as plain floats; NaN and infinities are numbers here.

    Raises:
        StageError: they are no flat mapping of names to numbers.
    """
    if not isinstance(metrics, Mapping):
        raise StageError(
            f"{source}: metrics must be a mapping of names to numbers, but are a "
            f"{type(metrics).__name__}"
        )
    for name, value in metrics.items():
        if not isinstance(name, str) or not name:
            raise StageError(f"{source}: metric names must be text, but one is {name!r}")
        if not isinstance(value, numbers.Real):
            raise StageError(
                f"{source}: metric {name!r} must be a number, but is a {type(value).__name__}; "
                "metrics are flat, and tensors need .item()"
            )
    return {name: _plain(float(value)) for name, value in metrics.items()}


def _plain(value: float) -> float:
    return math.nan if math.isnan(value) else value
