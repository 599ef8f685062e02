"""Where a fit stands, and when it is over. No torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from phasetune.train.settings import Mode, Training


@dataclass(kw_only=True)
class Progress:
    """Where a fit stands; after it, what it came to. `best_epoch` 0 is the untrained model.

    `step` counts optimizer steps, `seconds` the time spent in the loop, interruptions left out.
    """

    epoch: int = 0
    step: int = 0
    validated_epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.nan
    best_val_loss: float = math.nan
    train_loss: float = math.nan
    val_loss: float = math.nan
    seconds: float = field(default=0.0, compare=False)
    is_out_of_time: bool = False

    def see(self, metrics: Mapping[str, float], training: Training) -> bool:
        """Take note of a validation; returns whether it is a new best."""
        self.validated_epoch = self.epoch
        self.val_loss = metrics["val_loss"]
        value = metrics[training.watch]
        is_best = is_better(
            value, than=self.best_value, mode=training.mode, min_delta=training.min_delta
        )
        if is_best:
            self.best_epoch, self.best_value = self.epoch, value
            self.best_val_loss = self.val_loss
        return is_best

    def is_over(self, training: Training, *, patience_from: int = 0) -> bool:
        """Whether all epochs are done, the time is up, or nothing got better for too long."""
        waited = self.validated_epoch - max(self.best_epoch, patience_from)
        is_stale = training.patience is not None and waited >= training.patience
        return self.epoch >= training.epochs or is_stale or self.is_out_of_time


def is_better(value: float, *, than: float, mode: Mode, min_delta: float) -> bool:
    """Whether a value beats another by more than `min_delta`; anything beats nothing (NaN)."""
    if math.isnan(than):
        return not math.isnan(value)
    gain = than - value if mode == "min" else value - than
    return gain > min_delta
