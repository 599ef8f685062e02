"""Learning rates over time, as factors of the base rate: pure functions of the optimizer step.

Steps count from 0. Each schedule begins with `warmup` steps of a rate that rises linearly. No torch
here.
"""

import math
from typing import Any

from phasetune.train.progress import is_better
from phasetune.train.settings import Mode, Training


def constant(step: int, *, warmup: int) -> float:
    """The base rate after warmup."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def linear(step: int, *, warmup: int, total: int) -> float:
    """From the base rate after warmup to nothing at `total`."""
    return constant(step, warmup=warmup) * (1.0 - _share_done(step, warmup, total))


def cosine(step: int, *, warmup: int, total: int) -> float:
    """Half a cosine from the base rate after warmup to nothing at `total`.

    Loshchilov and Hutter 2017, "SGDR: Stochastic gradient descent with warm restarts", equation 5,
    without restarts.
    """
    falling = 0.5 * (1.0 + math.cos(math.pi * _share_done(step, warmup, total)))
    return constant(step, warmup=warmup) * falling


def stepwise(step: int, *, warmup: int, every: int, factor: float) -> float:
    """Multiplied by `factor` after each `every` steps."""
    return constant(step, warmup=warmup) * factor ** (step // every)


def warmup_stable_decay(step: int, *, warmup: int, total: int, decay: int) -> float:
    """The base rate after warmup, then down to nothing over the last `decay` of `total` steps.

    Before that it does not depend on `total`. Hägele et al. 2024, "Scaling laws and
    compute-optimal training beyond fixed training durations", section 3, with its 1 - sqrt decay.
    """
    begin = max(0, total - decay)
    if step < begin or decay == 0:
        return constant(step, warmup=warmup)
    done = min(1.0, (step - begin) / decay)
    return constant(step, warmup=warmup) * (1.0 - math.sqrt(done))


def _share_done(step: int, warmup: int, total: int) -> float:
    """Of the steps after warmup, from 0 to 1."""
    if step >= total:
        return 1.0
    return max(0.0, (step - warmup) / max(1, total - warmup))


class Plateau:
    """A rate that is multiplied by `factor` when a metric has not got better for a while.

    `patience` counts values that were seen since the best one, or since the last cut.
    """

    def __init__(self, *, factor: float, patience: int, min_delta: float, mode: Mode) -> None:
        self.rate = 1.0
        self._factor, self._patience = factor, patience
        self._min_delta, self._mode = min_delta, mode
        self._best, self._waited = math.nan, 0

    def see(self, value: float) -> None:
        """Take note of a value."""
        if is_better(value, than=self._best, mode=self._mode, min_delta=self._min_delta):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self._patience:
            self.rate, self._waited = self.rate * self._factor, 0

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint needs to go on."""
        return {"rate": self.rate, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rate, self._best = float(state["rate"]), float(state["best"])
        self._waited = int(state["waited"])


class Schedule:
    """The schedule that a stage's parameters ask for; only `plateau` has a memory."""

    def __init__(self, training: Training, *, steps_per_epoch: int) -> None:
        self._training = training
        self._steps_per_epoch = steps_per_epoch
        self._plateau = Plateau(
            factor=training.plateau_factor,
            patience=training.plateau_patience,
            min_delta=training.min_delta,
            mode=training.mode,
        )

    def factor(self, step: int) -> float:
        """What the base rates are multiplied by in a step, counted over all epochs."""
        training, warmup = self._training, self._training.warmup_steps
        total = training.epochs * self._steps_per_epoch
        if training.schedule == "linear":
            return linear(step, warmup=warmup, total=total)
        if training.schedule == "cosine":
            return cosine(step, warmup=warmup, total=total)
        if training.schedule == "step":
            every = training.step_epochs * self._steps_per_epoch
            return stepwise(step, warmup=warmup, every=every, factor=training.step_factor)
        if training.schedule == "warmup_stable_decay":
            decay = training.decay_epochs * self._steps_per_epoch
            return warmup_stable_decay(step, warmup=warmup, total=total, decay=decay)
        return constant(step, warmup=warmup) * self._plateau.rate

    def see(self, value: float) -> None:
        """Take note of the watched metric after a validation."""
        if self._training.schedule == "plateau":
            self._plateau.see(value)

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint needs to go on."""
        return self._plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._plateau.load_state_dict(state)
