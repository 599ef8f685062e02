"""All that a fit is made of: what a checkpoint holds, so that going on is exact.

Randomness of an epoch comes from streams named by its number, so between epochs no generator has
to be kept; inside an epoch all of them are, with what was summed up so far.
"""

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phasetune.stage.contract import StageContext
from phasetune.train.checkpoint import read_state, write_state
from phasetune.train.generators import generators_state
from phasetune.train.precision import Precision
from phasetune.train.progress import Progress
from phasetune.train.schedules import Schedule
from phasetune.train.settings import Training
from phasetune.train.task import Task


@dataclass(kw_only=True)
class EpochSums:
    """What an epoch summed up so far, on the device; it is read from there once per epoch.

    `steps` of it are done, `skipped` of them without effect, as fp16 does until its scale fits;
    `first_bad` is the first whose loss or gradient was not finite, or -1.
    """

    loss: Tensor
    rows: int
    norm: Tensor
    steps: int
    skipped: Tensor
    first_bad: Tensor

    def as_mapping(self) -> dict[str, Any]:
        """By name, for a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def empty(cls, device: torch.device) -> "EpochSums":
        """Nothing summed up yet."""
        return cls(
            loss=torch.zeros((), dtype=torch.float64, device=device),
            rows=0,
            norm=torch.zeros((), dtype=torch.float64, device=device),
            steps=0,
            skipped=torch.zeros((), dtype=torch.int64, device=device),
            first_bad=torch.full((), -1, dtype=torch.int64, device=device),
        )


class TrainingState:
    """A task in training: where it stands, its best weights, and the policies that have a memory.

    `parts` is into how many a batch is cut for want of memory; `log` holds a row per logged step:
    step, epoch, loss, gradient norm, rate.
    """

    def __init__(self, task: Task, ctx: StageContext, training: Training) -> None:
        self.task = task
        self.training = training
        self.device = torch.device(ctx.device)
        self.precision = Precision(self.device, ctx.precision)
        self.schedule = Schedule(training, steps_per_epoch=self.steps_per_epoch)
        self.progress = Progress()
        self.best = copied(task.model)
        self.sums = EpochSums.empty(self.device)
        self.parts = 1
        self.log: list[list[float]] = []
        self._ticked = time.monotonic()
        self._unread: list[tuple[int, int, Tensor, Tensor, float]] = []

    def tick(self) -> None:
        """Count the time since the last tick, or since the state was made or loaded."""
        now = time.monotonic()
        self.progress.seconds += now - self._ticked
        self._ticked = now

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps; the last one may have fewer batches, the last batch fewer rows."""
        batches = -(-self.task.batches.num_rows // self.training.batch_size)
        return -(-batches // self.training.accumulate)

    def log_step(self, loss: Tensor, norm: Tensor) -> None:
        """Take note of the step just done, where it is one to be logged; nothing is read yet."""
        every, step = self.training.log_every_n_steps, self.progress.step
        if every is not None and step % every == 0:
            rate = float(self.task.optimizer.param_groups[-1]["lr"])
            self._unread.append((step, self.progress.epoch, loss, norm, rate))

    def read_log(self) -> None:
        """Read what was noted from the device."""
        for step, epoch, loss, norm, rate in self._unread:
            self.log.append([float(step), float(epoch), float(loss), float(norm), rate])
        self._unread.clear()

    def for_keeping(self) -> dict[str, Any]:
        """What a kept checkpoint holds: the weights and the optimizer, as they are."""
        return {
            "model": self.task.model.state_dict(),
            "optimizer": self.task.optimizer.state_dict(),
        }

    def save(self, folder: Path, *, metrics: dict[str, float]) -> None:
        """Write the whole state to a folder, as it is between two steps."""
        self.read_log()
        self.tick()
        is_inside = self.sums.steps > 0
        state = {
            "model": self.task.model.state_dict(),
            "best": self.best,
            "optimizer": self.task.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": asdict(self.progress),
            "parts": self.parts,
            "log": self.log,
            "sums": self.sums.as_mapping() if is_inside else None,
            "generators": generators_state() if is_inside else None,
        }
        write_state(
            folder,
            state,
            epoch=self.progress.epoch,
            metrics=metrics,
            parameters=self.training.model_dump(mode="json"),
        )

    def load(self, folder: Path) -> dict[str, Any] | None:
        """Take over a state that was saved.

        Returns:
            The generators to put back after the epoch that it was cut in was begun again; None
            where it was cut between two epochs.

        Raises:
            StoreError: it is damaged.
        """
        state = read_state(folder, map_location=self.device)
        self.task.model.load_state_dict(state["model"])
        self.task.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state_dict(state["precision"])
        self.schedule.load_state_dict(state["schedule"])
        self.progress = Progress(**state["progress"])
        self._ticked = time.monotonic()
        self.best, self.parts, self.log = state["best"], state["parts"], state["log"]
        if state["sums"] is not None:
            self.sums = EpochSums(**state["sums"])
        generators: dict[str, Any] | None = state["generators"]
        return generators


def copied(model: nn.Module) -> dict[str, Tensor]:
    """A model's whole state, which further training leaves alone."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
