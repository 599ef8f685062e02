"""What one step of pre-training costs: as the reference system does it, against ours.

The reference draws its masks window by window in Python, encodes the batch a second time for its
spread term, and reads the loss from the device at every step. Both sides are given equal weights,
windows and sizes; first it is checked that with equal masks they compute the same loss. On a CPU in
fp32 with one thread, by its own time; on a GPU, where there is one, in fp32 and bf16, by the clock.

    python benchmarks/lstm_step.py [PAIRS]
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from measuring import (
    computed,
    in_turn,
    milliseconds,
    ratios,
    timed,
    verdict,
)
from phasetune.train.precision import Precision
from phasetune.workloads.windows.masking import drawn_mask
from phasetune.workloads.windows.model import EncoderShape
from phasetune.workloads.windows.params import Pretrain
from phasetune.workloads.windows.pretrain import Autoencoder, lack_of_spread, masked_error

TIME, CHANNELS = 105, 4
SIZES = ((64, 1, 128), (128, 2, 512))  # hidden size, layers, batch; the last one has the goal
GOALS = {"cpu": 1.8, "cuda": 4.0}
PARAMS = Pretrain()
Step = Callable[[], None]


def reference_mask(count: int, device: torch.device) -> Tensor:
    """Patches hidden window by window, as a loop over the batch."""
    mask = torch.zeros(count, TIME, dtype=torch.bool)
    patches = -(-TIME // PARAMS.patch_size)
    for i in range(count):
        for patch in torch.randperm(patches)[: max(1, round(patches * PARAMS.mask_ratio))]:
            begin = int(patch) * PARAMS.patch_size
            mask[i, begin : begin + PARAMS.patch_size] = True
    return mask.to(device)


def reference_loss(model: Autoencoder, windows: Tensor, mask: Tensor) -> Tensor:
    """Two passes of the encoder: one to fill in, one for the spread of the latent."""
    filled, _ = model(windows, mask)
    _, latent = model(windows, mask)
    return masked_error(filled, windows, mask) + PARAMS.spread_weight * lack_of_spread(latent)


def our_loss(model: Autoencoder, windows: Tensor, mask: Tensor) -> Tensor:
    filled, latent = model(windows, mask)
    return masked_error(filled, windows, mask) + PARAMS.spread_weight * lack_of_spread(latent)


def reference_step(model: Autoencoder, windows: Tensor, precision: str = "fp32") -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PARAMS.learning_rate)
    policy = Precision(windows.device, precision)

    def step() -> None:
        optimizer.zero_grad()
        with policy.autocast():
            loss = reference_loss(model, windows, reference_mask(len(windows), windows.device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), PARAMS.clip_norm or 1.0)
        optimizer.step()
        loss.item()

    return step


def our_step(model: Autoencoder, windows: Tensor, precision: str = "fp32") -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PARAMS.learning_rate, fused=True)
    policy = Precision(windows.device, precision)
    total = torch.zeros((), dtype=torch.float64, device=windows.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        mask = drawn_mask(PARAMS, len(windows), TIME, windows.device)
        with policy.autocast():
            loss = our_loss(model, windows, mask)
        policy.backward(loss)
        norm = policy.gradient_norm(optimizer)
        policy.step(optimizer, norm, clip_norm=PARAMS.clip_norm)
        total.add_(loss.detach())

    return step


def new_model(hidden: int, num_layers: int = 1) -> Autoencoder:
    torch.manual_seed(0)
    shape = EncoderShape(
        channels=CHANNELS, hidden_size=hidden, num_layers=num_layers, dropout=0.0,
        normalize="window",
    )  # fmt: skip
    return Autoencoder(shape).train()


def compare(size: tuple[int, int, int], device: str, precision: str, pairs: int) -> str:
    hidden, layers, batch = size
    torch.manual_seed(1)
    windows = torch.randn(batch, TIME, CHANNELS).to(device)
    mask = reference_mask(batch, windows.device)
    reference, ours = (new_model(hidden, layers).to(device) for _ in range(2))
    torch.testing.assert_close(
        reference_loss(reference, windows, mask), our_loss(ours, windows, mask)
    )
    steps = {
        "reference": reference_step(reference, windows, precision),
        "ours": our_step(ours, windows, precision),
    }
    clock = timed if device == "cuda" else computed
    sides = {name: lambda step=step: clock(step) for name, step in steps.items()}
    in_turn(sides, pairs=1)  # the first step of each warms up
    found = in_turn(sides, pairs=pairs)
    shown = ", ".join(f"{name} {milliseconds(times)}" for name, times in found.items())
    result = verdict(ratios(found["reference"], found["ours"]), goal=GOALS[device])
    what = f"{device} {precision}, hidden {hidden}, layers {layers}, batch {batch}"
    return f"{what}: {shown}; {result}"


def main(pairs: int) -> None:
    torch.set_num_threads(1)
    places = [("cpu", "fp32")]
    if torch.cuda.is_available():
        places += [("cuda", "fp32"), ("cuda", "bf16")]
    for device, precision in places:
        for size in SIZES:
            print(compare(size, device, precision, pairs), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
