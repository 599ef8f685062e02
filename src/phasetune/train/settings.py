"""How a network is trained: the parameters that every stage with a fit loop has. No torch here.

A stage's own parameters derive from `Training`, so the same names mean the same in every workload,
and `fit` takes the stage's parameters as they are. All of them are hashed: each can change what a
run leaves.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phasetune.stage.contract import Milestone

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Mode = Literal["min", "max"]
OptimizerName = Literal["adamw", "adam", "sgd"]
ScheduleName = Literal["constant", "linear", "cosine", "step", "plateau", "warmup_stable_decay"]

_BOUND_TO_THE_END = ("linear", "cosine")


class Training(BaseModel):
    """Parameters of a fit loop. Epochs count from 1, optimizer steps from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=50, ge=0, description="0 leaves the model as it was initialised")
    batch_size: int = Field(default=512, ge=1)
    accumulate: int = Field(default=1, ge=1, description="batches per optimizer step")
    optimizer: OptimizerName = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = Field(default=1e-4, description="of weights; not of biases, norms")
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="for optimizer: sgd")
    clip_norm: Positive | None = Field(default=1.0, description="of all gradients; null: never")
    schedule: ScheduleName = "constant"
    warmup_steps: int = Field(default=0, ge=0, description="optimizer steps, before any schedule")
    decay_fraction: float = Field(
        default=0.2, gt=0.0, le=1.0, description="of the epochs, for warmup_stable_decay"
    )
    step_epochs: int = Field(default=10, ge=1, description="for schedule: step")
    step_factor: float = Field(default=0.1, gt=0.0, le=1.0, description="for schedule: step")
    plateau_patience: int = Field(default=5, ge=1, description="validations, for schedule: plateau")
    plateau_factor: float = Field(default=0.5, gt=0.0, lt=1.0, description="for schedule: plateau")
    watch: str = Field(default="val_loss", min_length=1, description="what best weights are by")
    mode: Mode = "min"
    patience: int | None = Field(
        default=10, ge=1, description="epochs without a new best; null: never stop early"
    )
    min_delta: NotNegative = 0.0
    validate_every_n_epochs: int = Field(default=1, ge=1)
    log_every_n_steps: int | None = Field(
        default=None, ge=1, description="loss, gradient norm and rate of steps, in steps.csv"
    )
    save_every_n_epochs: int | None = Field(
        default=None, ge=1, description="checkpoints that are kept with the artifact"
    )
    keep_last: int = Field(default=1, ge=0, description="of the saved ones")
    keep_best: int = Field(default=1, ge=0, description="of the saved ones; ties are all kept")
    keep_epochs: tuple[int, ...] = Field(
        default=(), description="of the saved ones, whatever they scored"
    )
    time_limit_minutes: Positive | None = Field(
        default=None, description="of a run; what it has then is what it leaves"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="less memory for more time, where the model supports it"
    )

    @model_validator(mode="after")
    def _can_watch(self) -> Self:
        if self.validate_every_n_epochs > max(1, self.epochs):
            raise ValueError(
                f"validate_every_n_epochs must be at most epochs ({self.epochs}), but is "
                f"{self.validate_every_n_epochs}"
            )
        return self

    @model_validator(mode="after")
    def _can_keep(self) -> Self:
        every = self.save_every_n_epochs
        if every is None and self.keep_epochs:
            raise ValueError("keep_epochs needs save_every_n_epochs, which says what is saved")
        if every is not None and every > max(1, self.epochs):
            raise ValueError(
                f"save_every_n_epochs must be at most epochs ({self.epochs}), but is {every}"
            )
        never = [epoch for epoch in self.keep_epochs if every is not None and epoch % every]
        if never:
            raise ValueError(
                f"keep_epochs must be multiples of save_every_n_epochs ({every}), but has {never}"
            )
        return self

    @property
    def decay_epochs(self) -> int:
        """The last epochs, in which the rate of `warmup_stable_decay` falls; at least one."""
        return min(self.epochs, max(1, math.floor(self.decay_fraction * self.epochs + 0.5)))

    def milestone(self, *, cost: float = 1.0) -> Milestone | None:
        """Where a run may branch off one with a later end; `cost` is that of one of its epochs."""
        if self.epochs == 0:
            return None
        branch, why = self._branch_epoch()
        return Milestone(horizon="epochs", branch_step=branch, why_alone=why, cost=cost)

    def _branch_epoch(self) -> tuple[int | None, str]:
        if self.schedule in _BOUND_TO_THE_END:
            return None, f"the rate of schedule: {self.schedule} depends on the end from the start"
        if self.time_limit_minutes is not None:
            return None, "with time_limit_minutes the clock has a say in each epoch"
        if self.schedule == "warmup_stable_decay":
            return self.epochs - self.decay_epochs, ""
        alone = self.epochs % self.validate_every_n_epochs
        return self.epochs - alone, ""  # the last epoch is always validated, a longer run's not
