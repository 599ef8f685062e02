"""The parameters of each stage; the defaults are those of the full-size study.

How a stage trains, from its optimizer to its checkpoints, is in `phasetune.train.settings`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from phasetune.stage.contract import Milestone
from phasetune.train.settings import NotNegative, Positive, Training

MOST_CLASSES = 100  # whose confusion matrix is 10,000 metrics

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Pretrain(Training):
    """Pre-training of the encoder as a masked autoencoder."""

    hidden_size: int = Field(default=128, ge=1, le=4096, description="per direction")
    num_layers: int = Field(default=1, ge=1, le=16)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    normalize: Literal["window", "none"] = Field(
        default="window", description="window: each to mean 0 and deviation 1 over all its values"
    )
    mask: Literal["random", "block", "patch"] = "patch"
    mask_ratio: float = Field(default=0.15, gt=0.0, lt=1.0, description="share of time steps")
    patch_size: int = Field(default=7, ge=1, description="time steps, for mask: patch")
    spread_weight: NotNegative = Field(
        default=0.1, description="of relu(1 - mean deviation of the latent over a batch)"
    )
    batch_size: int = Field(default=512, ge=2)
    val_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)

    def milestone_of_epochs(self) -> Milestone | None:
        """Where a pre-training may branch off a longer one."""
        return self.milestone(cost=self._products_per_step())

    def _products_per_step(self) -> float:
        """Of the LSTM's matrices for one time step in one direction; channels, few beside the
        hidden size, are left out."""
        return 4.0 * self.hidden_size**2 * (1 + 3 * (self.num_layers - 1))

    def num_places(self, time: int) -> int:
        """How many places of a window a mask chooses from: time steps, or patches."""
        return -(-time // self.patch_size) if self.mask == "patch" else time

    def num_hidden(self, time: int) -> int:
        """How many of these places it hides, at least one."""
        return max(1, round(self.num_places(time) * self.mask_ratio))


class Finetune(Training):
    """Fine-tuning of a classifier on top of the encoder."""

    num_heads: int = Field(default=8, ge=1, description="of the attention pooling")
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    jitter_sigma: NotNegative = Field(default=0.03, description="in deviations of a window")
    jitter_probability: Share = 0.5
    scaling_sigma: NotNegative = 0.1
    scaling_probability: Share = 0.5
    time_warp_sigma: NotNegative = Field(default=0.12, description="of the speed of time")
    time_warp_probability: Share = 0.5
    mixup_alpha: Positive = 0.2
    mixup_probability: Share = 0.25
    cutmix_alpha: Positive = 1.0
    cutmix_probability: Share = 0.25
    epochs: int = Field(default=50, ge=1)
    batch_size: int = Field(default=512, ge=2)
    freeze_epochs: int = Field(default=10, ge=0, description="first epochs with a frozen encoder")
    freeze_layers: int = Field(default=0, ge=0, description="lowest layers that stay frozen")
    unfreeze_lr_factor: Positive = Field(
        default=0.5, description="of learning_rate, for an encoder that was frozen"
    )
    loss: Literal["cross_entropy", "focal"] = "focal"
    focal_gamma: NotNegative = 2.0
    class_weights: Literal["balanced", "none"] = "none"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    patience: int | None = Field(
        default=20, ge=1, description="epochs, from the end of freezing on; null: never stop early"
    )


class Test(BaseModel):
    """Testing has no parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")
