"""Which time steps are hidden from the encoder, drawn for a whole batch at once."""

import torch
from torch import Tensor

from phasetune.workloads.windows.params import Pretrain


def drawn_mask(params: Pretrain, count: int, time: int, device: torch.device) -> Tensor:
    """True where a time step is hidden; shape [count, time]. Each window has as many of them,
    where a last patch is not shorter than the others.

    `random` hides single steps, `block` one stretch, `patch` whole patches; at least one step or
    patch is hidden. The patches of Nie et al. 2023, "A time series is worth 64 words".
    """
    hidden = params.num_hidden(time)
    if params.mask == "block":
        return _block(count, time, hidden, device)
    chosen = _chosen(count, params.num_places(time), hidden, device)
    if params.mask == "random":
        return chosen
    return chosen.repeat_interleave(params.patch_size, dim=1)[:, :time]


def _chosen(count: int, places: int, hidden: int, device: torch.device) -> Tensor:
    """`hidden` of the places of each row, without replacement."""
    chosen = torch.rand(count, places, device=device).topk(hidden, dim=1).indices
    mask = torch.zeros(count, places, dtype=torch.bool, device=device)
    return mask.scatter_(1, chosen, True)


def _block(count: int, time: int, length: int, device: torch.device) -> Tensor:
    begin = torch.randint(0, time - length + 1, (count, 1), device=device)
    steps = torch.arange(time, device=device)[None, :]
    return (steps >= begin) & (steps < begin + length)
