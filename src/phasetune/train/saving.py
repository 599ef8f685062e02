"""When a fit is saved, where, and what of it is kept.

The resume checkpoint holds all that is needed to go on, with the kept checkpoints inside, so that
a run that was cut leaves what an undisturbed one does. A trunk's files are the same.
"""

import csv
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.stage.contract import StageContext
from phasetune.store.durable import discard
from phasetune.train.checkpoint import checkpoints_in, save_checkpoint, tell_why_kept
from phasetune.train.progress import Progress
from phasetune.train.retention import Saved, kept
from phasetune.train.state import TrainingState

CHECKPOINT_SECONDS = 10.0
MOST_SHARE_OF_TIME = 0.05
"""What resume checkpoints may take of a run's time."""
STEPS_FILE = "steps.csv"
_STEPS_HEADER = ("step", "epoch", "loss", "gradient_norm", "learning_rate")
_KEPT = "kept"


class Saver:
    """Saves one fit."""

    def __init__(self, state: TrainingState, ctx: StageContext) -> None:
        self._state = state
        self._ctx = ctx
        self._saved_at = time.monotonic()
        self._save_seconds = 0.0

    def restore(self) -> dict[str, Any] | None:
        """Go on from a checkpoint of this call, or else from a trunk; else begin.

        Returns:
            The generators to put back, where the checkpoint was made inside an epoch.
        """
        trunk = self._ctx.trunk
        source = self._ctx.resumed or (None if trunk is None else trunk.begins)
        if source is None:
            return None
        if (source / _KEPT).is_dir():
            shutil.copytree(source / _KEPT, self._ctx.checkpoints, dirs_exist_ok=True)
        return self._state.load(source)

    def is_due(self) -> bool:
        """Whether it is time for a resume checkpoint, or an end is asked for."""
        least = max(CHECKPOINT_SECONDS, self._save_seconds / MOST_SHARE_OF_TIME)
        is_time = time.monotonic() - self._saved_at > least
        return is_time or self._ctx.should_stop()

    def inside_epoch(self) -> None:
        """Hand over a resume checkpoint between two steps; the epoch's row follows at its end."""
        sums = self._state.sums
        self._hand_over({"train_loss": float(sums.loss) / sums.rows})

    def after_epoch(self, row: Mapping[str, float], *, stop: bool) -> None:
        """Report an epoch; save what is to be kept, and a resume checkpoint where it is time."""
        every, epoch = self._state.training.save_every_n_epochs, self._state.progress.epoch
        is_kept = every is not None and epoch % every == 0
        if is_kept:
            self._ctx.report(row, step=epoch)  # no metric waits for a disk
            self._keep(row)
        if stop or self.is_due():
            self._hand_over(row)
        elif not is_kept:
            self._ctx.report(row, step=epoch)

    def finish(self) -> Progress | None:
        """Leave the trunk in the output; or the best weights in the model, and what was logged."""
        state, ctx = self._state, self._ctx
        if ctx.trunk is not None and ctx.trunk.until is not None:
            self._write(ctx.output, {})
            for checkpoint in ctx.checkpoints.iterdir():  # they are in the output now
                discard(checkpoint)
            return None
        state.task.model.load_state_dict(state.best)
        state.read_log()
        if state.training.log_every_n_steps is not None:
            _write_steps(ctx.output / STEPS_FILE, state.log)
        return state.progress

    def _hand_over(self, row: Mapping[str, float]) -> None:
        began = time.monotonic()
        beside = self._ctx.output.parent  # the disk of the results, whose space is looked after
        with tempfile.TemporaryDirectory(dir=beside) as folder:
            self._write(Path(folder), row)
            self._ctx.report(row, step=self._state.progress.epoch, checkpoint=Path(folder))
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - began

    def _write(self, folder: Path, row: Mapping[str, float]) -> None:
        self._state.save(folder, metrics=dict(row))
        if any(self._ctx.checkpoints.iterdir()):
            shutil.copytree(self._ctx.checkpoints, folder / _KEPT)

    def _keep(self, row: Mapping[str, float]) -> None:
        """Save a checkpoint beside the artifact, then let go of those that are no longer kept."""
        state, training, folder = self._state, self._state.training, self._ctx.checkpoints
        save_checkpoint(
            folder,
            state.for_keeping(),
            epoch=state.progress.epoch,
            metrics=dict(row),
            parameters=training.model_dump(mode="json"),
            watch=training.watch,
        )
        found = checkpoints_in(folder)
        saved = [Saved(epoch=c.epoch, value=c.metrics.get(training.watch)) for c in found]
        reasons = kept(
            saved,
            last=training.keep_last,
            best=training.keep_best,
            milestones=training.keep_epochs,
            mode=training.mode,
        )
        for checkpoint in found:
            if checkpoint.epoch in reasons:
                tell_why_kept(checkpoint.path, reasons[checkpoint.epoch])
            else:
                discard(checkpoint.path)


def _write_steps(path: Path, log: list[list[float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_STEPS_HEADER)
        writer.writerows([[int(step), int(epoch), *rest] for step, epoch, *rest in log])
