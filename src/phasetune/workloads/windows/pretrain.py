"""Pre-training: a masked autoencoder fills in what is hidden of unlabelled windows.

Devlin et al. 2019, "BERT", and He et al. 2022, "Masked autoencoders are scalable vision learners",
for the idea; the spread term as the variance term of Bardes et al. 2022, "VICReg", section 3.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from phasetune.errors import StageError
from phasetune.stage.contract import StageContext
from phasetune.stage.seeds import derived_seed
from phasetune.train.batches import Batches, batches_of
from phasetune.train.determinism import torch_switches
from phasetune.train.fit import fit
from phasetune.train.optimizers import make_optimizer, parameter_groups
from phasetune.train.task import Batch
from phasetune.workloads.windows.artifact import save_encoder
from phasetune.workloads.windows.masking import drawn_mask
from phasetune.workloads.windows.model import Encoder, EncoderShape, normalized
from phasetune.workloads.windows.params import Pretrain

_SMALLEST_VARIANCE = 1e-4


def pretrain(ctx: StageContext, params: Pretrain) -> dict[str, float]:
    """Train the encoder and leave it in `ctx.output`.

    Returns:
        `best_val_loss`, `best_epoch` (0: untrained), `epochs_trained`, `final_val_loss` and, where
        anything was trained, `final_train_loss`.

    Raises:
        StageError: the data is not what it must be, or a loss is not finite.
    """
    with torch_switches(ctx):
        torch.manual_seed(derived_seed(ctx.seed, "initialisation"))
        task = Reconstruction(ctx, params)
        progress = fit(task, ctx, params)
    if progress is None:
        return {}
    save_encoder(ctx.output, task.model.encoder)
    trained = {"final_train_loss": progress.train_loss} if progress.epoch else {}
    return {
        "best_val_loss": progress.best_val_loss,
        "best_epoch": float(progress.best_epoch),
        "epochs_trained": float(progress.epoch),
        "final_val_loss": progress.val_loss,
        **trained,
    }


class Autoencoder(nn.Module):
    """An encoder, the token that stands for what is hidden, and a linear decoder."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.mask_token = nn.Parameter(torch.zeros(shape.channels))
        self.decoder = nn.Linear(2 * shape.hidden_size, shape.channels)

    def forward(self, windows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Windows filled in, [n, time, channel], and the latent, [n, 2 * hidden_size].

        `mask` is True where a time step is hidden, shape [n, time]. The latent is the mean of
        what the encoder makes of the time steps; both come from one pass of it.
        """
        seen = torch.where(mask.unsqueeze(-1), self.mask_token, windows)
        encoded = self.encoder(seen)
        return self.decoder(encoded), encoded.mean(dim=1)


class Reconstruction:
    """The task of filling in: unlabelled windows, a tenth of them to validate on."""

    is_splittable = False
    """The spread term looks at a batch as a whole."""

    def __init__(self, ctx: StageContext, params: Pretrain) -> None:
        device = torch.device(ctx.device)
        raw = torch.from_numpy(ctx.data.windows_of("unlabeled"))
        windows = normalized(raw, params.normalize)
        train, held_out = _split(
            len(windows), params.val_fraction, ctx.seed, sources=ctx.data.sources
        )
        self.batches: Batches = batches_of([windows[train]], device=device)
        self._held_out = windows[held_out].to(device)
        self._params = params
        shape = EncoderShape(
            channels=windows.shape[2],
            hidden_size=params.hidden_size,
            num_layers=params.num_layers,
            dropout=params.dropout,
            normalize=params.normalize,
        )
        self.model: Autoencoder = Autoencoder(shape).to(device)
        groups = parameter_groups(
            [(self.model, params.learning_rate)], weight_decay=params.weight_decay
        )
        self.optimizer: torch.optim.Optimizer = make_optimizer(groups, params, device=device)
        self._held_out_masks = self._fixed_masks(ctx.seed)

    def begin_epoch(self, _: int) -> None:
        """Nothing changes from one epoch to the next."""
        self.model.train()

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of what was hidden, plus the spread term."""
        (windows,) = batch
        mask = drawn_mask(self._params, len(windows), windows.shape[1], windows.device)
        return self._loss(windows, mask)

    def validate(self) -> Mapping[str, float]:
        """The same loss on held-out windows, under masks that are the same in every epoch."""
        size = self._params.batch_size
        total = torch.zeros((), dtype=torch.float64, device=self._held_out.device)
        batches = zip(self._held_out.split(size), self._held_out_masks.split(size), strict=True)
        for windows, mask in batches:
            total += self._loss(windows, mask) * len(windows)
        return {"val_loss": float(total) / len(self._held_out)}

    def _loss(self, windows: Tensor, mask: Tensor) -> Tensor:
        filled, latent = self.model(windows, mask)
        return masked_error(filled, windows, mask) + self._params.spread_weight * lack_of_spread(
            latent
        )

    def _fixed_masks(self, seed: int) -> Tensor:
        count, time, _ = self._held_out.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "validation masks"))
            masks = drawn_mask(self._params, count, time, torch.device("cpu"))
        return masks.to(self._held_out.device)


def masked_error(filled: Tensor, windows: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the values of hidden time steps."""
    squared = (filled.float() - windows) ** 2
    return (squared * mask.unsqueeze(-1)).sum() / (mask.sum() * windows.shape[2])


def lack_of_spread(latent: Tensor) -> Tensor:
    """`relu(1 - s)`, s the mean over dimensions of the latent's deviation over the batch.

    `latent` has shape [n, dimension]; the term keeps windows from being encoded alike.
    """
    variance = latent.float().var(dim=0, correction=0)
    return functional.relu(1.0 - torch.sqrt(variance + _SMALLEST_VARIANCE).mean())


def _split(
    count: int, val_fraction: float, seed: int, *, sources: NDArray[np.int64] | None
) -> tuple[Tensor, Tensor]:
    """Row numbers to train on and to validate on, at least one of each.

    Rows that were made from one window stay together.

    Raises:
        StageError: all rows were made from one window.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "validation split"))
    groups = torch.arange(count)
    if sources is not None:
        groups = torch.from_numpy(np.unique(sources, return_inverse=True)[1])
    num_groups = int(groups.max()) + 1
    if num_groups < 2:
        raise StageError("unlabeled must have at least 2 windows that are no copies of each other")
    order = torch.randperm(num_groups, generator=generator)
    held_out = order[: min(num_groups - 1, max(1, round(num_groups * val_fraction)))]
    if sources is None:
        return order[len(held_out) :], held_out
    is_held_out = torch.isin(groups, held_out)
    return (~is_held_out).nonzero()[:, 0], is_held_out.nonzero()[:, 0]
