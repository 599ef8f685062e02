"""What one step of pre-training costs: as the reference system does it, against ours.

The reference draws its masks window by window in Python, encodes the batch a second time for its
spread term, and reads the loss from the device at every step. Both sides are given equal weights,
windows and sizes; first it is checked that with equal masks they compute the same loss.

    python benchmarks/lstm_step.py [STEPS]
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from phasetune.train.precision import Precision
from phasetune.workloads.windows.masking import drawn_mask
from phasetune.workloads.windows.model import EncoderShape
from phasetune.workloads.windows.params import Pretrain
from phasetune.workloads.windows.pretrain import Autoencoder, lack_of_spread, masked_error

TIME, CHANNELS = 105, 4
SIZES = ((64, 128), (128, 128), (128, 512))  # hidden size, batch
PARAMS = Pretrain()


def reference_mask(count: int) -> Tensor:
    """Patches hidden window by window, as a loop over the batch."""
    mask = torch.zeros(count, TIME, dtype=torch.bool)
    patches = -(-TIME // PARAMS.patch_size)
    for i in range(count):
        for patch in torch.randperm(patches)[: max(1, round(patches * PARAMS.mask_ratio))]:
            begin = int(patch) * PARAMS.patch_size
            mask[i, begin : begin + PARAMS.patch_size] = True
    return mask


def reference_loss(model: Autoencoder, windows: Tensor, mask: Tensor) -> Tensor:
    """Two passes of the encoder: one to fill in, one for the spread of the latent."""
    filled, _ = model(windows, mask)
    _, latent = model(windows, mask)
    return masked_error(filled, windows, mask) + PARAMS.spread_weight * lack_of_spread(latent)


def our_loss(model: Autoencoder, windows: Tensor, mask: Tensor) -> Tensor:
    filled, latent = model(windows, mask)
    return masked_error(filled, windows, mask) + PARAMS.spread_weight * lack_of_spread(latent)


def reference_step(model: Autoencoder, windows: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PARAMS.learning_rate)

    def step() -> None:
        optimizer.zero_grad()
        loss = reference_loss(model, windows, reference_mask(len(windows)))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), PARAMS.clip_norm)
        optimizer.step()
        loss.item()

    return step


def our_step(model: Autoencoder, windows: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PARAMS.learning_rate, fused=True)
    precision = Precision(windows.device, "fp32")
    total = torch.zeros((), dtype=torch.float64)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        mask = drawn_mask(PARAMS, len(windows), TIME, windows.device)
        loss = our_loss(model, windows, mask)
        precision.step(loss, optimizer, model, clip_norm=PARAMS.clip_norm)
        total.add_(loss.detach())

    return step


def new_model(hidden: int) -> Autoencoder:
    torch.manual_seed(0)
    shape = EncoderShape(
        channels=CHANNELS, hidden_size=hidden, num_layers=1, dropout=0.0, normalize="window"
    )
    return Autoencoder(shape).train()


def seconds(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def compare(hidden: int, batch: int, steps: int) -> str:
    torch.manual_seed(1)
    windows = torch.randn(batch, TIME, CHANNELS)
    mask = reference_mask(batch)
    reference, ours = new_model(hidden), new_model(hidden)
    torch.testing.assert_close(
        reference_loss(reference, windows, mask), our_loss(ours, windows, mask)
    )
    sides = {
        "reference": reference_step(reference, windows),
        "ours": our_step(ours, windows),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for name in sides:
        sides[name]()  # the first step of each warms up
    for i in range(steps):
        for name in list(sides) if i % 2 else reversed(list(sides)):
            times[name].append(seconds(sides[name]) * 1000)
    ratios = [a / b for a, b in zip(times["reference"], times["ours"], strict=True)]
    shown = ", ".join(f"{name} {spread(found)} ms" for name, found in times.items())
    return f"hidden {hidden}, batch {batch}: {shown}; ratio {spread(ratios)}"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main(steps: int) -> None:
    torch.set_num_threads(1)
    for hidden, batch in SIZES:
        print(compare(hidden, batch, steps), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
