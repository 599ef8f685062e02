"""The networks: encoder, classifier. Nothing of training is here."""

from typing import Literal, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from phasetune.workloads.windows.params import MOST_CLASSES

Normalize = Literal["window", "none"]
_SMALLEST_DEVIATION = 1e-6


class EncoderShape(BaseModel):
    """All that is needed to build an encoder; kept beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=1, le=65_536)
    hidden_size: int = Field(ge=1, le=4096)
    num_layers: int = Field(ge=1, le=16)
    dropout: float = Field(ge=0.0, lt=1.0)
    normalize: Normalize


class ClassifierShape(BaseModel):
    """All that is needed to build a classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderShape
    num_heads: int = Field(ge=1, le=4096)
    num_classes: int = Field(ge=2, le=MOST_CLASSES)
    dropout: float = Field(ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.encoder.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.encoder.hidden_size} must be divisible by num_heads "
                f"{self.num_heads}"
            )
        return self


def normalized(windows: Tensor, how: Normalize) -> Tensor:
    """Windows as the networks see them; shape [n, time, channel].

    `window` moves each to mean 0 and deviation 1 over all its values, so that what its channels
    are to each other is kept.
    """
    if how == "none":
        return windows
    centred = windows - windows.mean(dim=(1, 2), keepdim=True)
    centred = centred - centred.mean(dim=(1, 2), keepdim=True)  # the first mean was rounded
    deviation = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return centred / deviation.clamp(min=_SMALLEST_DEVIATION)


class Encoder(nn.Module):
    """A bidirectional LSTM over normalised windows.

    Hochreiter and Schmidhuber 1997, "Long short-term memory"; Schuster and Paliwal 1997,
    "Bidirectional recurrent neural networks".
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.lstm = nn.LSTM(
            shape.channels,
            shape.hidden_size,
            shape.num_layers,
            dropout=shape.dropout if shape.num_layers > 1 else 0.0,
            bidirectional=True,
            batch_first=True,
        )
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """From [n, time, channel] to [n, time, 2 * hidden_size].

        In full precision whatever surrounds it: on a GPU autocast would run a recurrent layer in
        fp16, also where bf16 is asked for, and small gradients would vanish.
        """
        with torch.autocast(windows.device.type, enabled=False):
            return cast(Tensor, self.dropout(self.lstm(windows.float())[0]))

    def layer_of(self, name: str) -> int:
        """The LSTM layer, from 0 for the lowest, that a parameter such as `weight_ih_l0` is in."""
        return int(name.rpartition("_l")[2].removesuffix("_reverse"))


class AttentionPooling(nn.Module):
    """A learned query that looks at all time steps with several heads.

    The encoder's output is projected to `hidden_size`, which the heads share. Vaswani et al. 2017,
    "Attention is all you need", section 3.2.2; the query as in Lee et al. 2019, "Set transformer".
    """

    def __init__(self, input_size: int, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(input_size, hidden_size)
        self.query = nn.Parameter(torch.randn(1, 1, hidden_size) * hidden_size**-0.5)
        self.attention = nn.MultiheadAttention(hidden_size, num_heads, batch_first=True)

    def forward(self, encoded: Tensor) -> Tensor:
        """From [n, time, input_size] to [n, hidden_size]."""
        keys = self.project(encoded)
        query = self.query.expand(len(encoded), -1, -1)
        pooled, _ = self.attention(query, keys, keys, need_weights=False)
        return cast(Tensor, pooled[:, 0])


class Classifier(nn.Module):
    """Encoder, attention pooling, and a linear head."""

    def __init__(
        self, encoder: Encoder, *, num_heads: int, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.shape = ClassifierShape(
            encoder=encoder.shape, num_heads=num_heads, num_classes=num_classes, dropout=dropout
        )
        hidden = encoder.shape.hidden_size
        self.encoder = encoder
        self.pooling = AttentionPooling(2 * hidden, hidden, num_heads)
        self.head = nn.Sequential(
            nn.LayerNorm(hidden), nn.Dropout(dropout), nn.Linear(hidden, num_classes)
        )

    def forward(self, windows: Tensor) -> Tensor:
        """Logits of normalised windows: from [n, time, channel] to [n, num_classes]."""
        return self.classify(self.encoder(windows))

    def classify(self, encoded: Tensor) -> Tensor:
        """Logits of what the encoder made of windows, shape [n, time, 2 * hidden_size]."""
        return cast(Tensor, self.head(self.pooling(encoded)))
