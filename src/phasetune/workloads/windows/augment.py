"""Augmentation of normalised windows, a whole batch at once, each window with its probability.

Jitter, scaling and time warping as in Um et al. 2017, "Data augmentation of wearable sensor data
for Parkinson's disease monitoring using convolutional neural networks", with linear instead of
spline interpolation; mixup as in Zhang et al. 2018, "mixup: beyond empirical risk minimization";
cutmix as in Yun et al. 2019, "CutMix", along time. Randomness is torch's global generator, which
the fit loop seeds for each epoch.
"""

import torch
from torch import Tensor
from torch.nn import functional

from phasetune.workloads.windows.params import Finetune

_NUM_KNOTS = 6  # where the speed of time is drawn; linear in between
_SLOWEST = 0.1


def augmented(windows: Tensor, targets: Tensor, params: Finetune) -> tuple[Tensor, Tensor]:
    """Changed windows, shape [n, time, channel], and their targets, shape [n, classes]."""
    windows = varied(
        windows,
        time_warp=(params.time_warp_sigma, params.time_warp_probability),
        scaling=(params.scaling_sigma, params.scaling_probability),
        jitter=(params.jitter_sigma, params.jitter_probability),
    )
    return _mixed(windows, targets, params)


def varied(
    windows: Tensor,
    *,
    time_warp: tuple[float, float],
    scaling: tuple[float, float],
    jitter: tuple[float, float],
) -> Tensor:
    """Windows after time warp, scaling and jitter, each given as (sigma, probability)."""
    windows = _sometimes(windows, warped(windows, time_warp[0]), time_warp[1])
    windows = _sometimes(windows, scaled(windows, scaling[0]), scaling[1])
    return _sometimes(windows, jittered(windows, jitter[0]), jitter[1])


def jittered(windows: Tensor, sigma: float) -> Tensor:
    """Every value plus noise of deviation `sigma`."""
    return windows + sigma * torch.randn_like(windows)


def scaled(windows: Tensor, sigma: float) -> Tensor:
    """Every window times one factor around 1, so that its channels keep their order."""
    factor = 1.0 + sigma * torch.randn(len(windows), 1, 1, device=windows.device)
    return windows * factor


def warped(windows: Tensor, sigma: float) -> Tensor:
    """Windows in which time runs faster and slower by turns; the ends stay where they are.

    `sigma` is the deviation of the speed around 1.
    """
    count, time, _ = windows.shape
    knots = 1.0 + sigma * torch.randn(count, 1, _NUM_KNOTS, device=windows.device)
    speed = functional.interpolate(knots, size=time - 1, mode="linear", align_corners=True)[:, 0]
    passed = functional.pad(speed.clamp(min=_SLOWEST).cumsum(dim=1), (1, 0))
    places = passed / passed[:, -1:] * (time - 1)
    return _interpolated(windows, places)


def _interpolated(windows: Tensor, places: Tensor) -> Tensor:
    """Values between time steps; `places` has shape [n, time], in [0, time - 1]."""
    below = places.floor().clamp(max=windows.shape[1] - 2).long()
    weight = (places - below).unsqueeze(-1)
    index = below.unsqueeze(-1).expand(-1, -1, windows.shape[2])
    return windows.gather(1, index) * (1 - weight) + windows.gather(1, index + 1) * weight


def _sometimes(before: Tensor, after: Tensor, probability: float) -> Tensor:
    is_changed = torch.rand(len(before), 1, 1, device=before.device) < probability
    return torch.where(is_changed, after, before)


def _mixed(windows: Tensor, targets: Tensor, params: Finetune) -> tuple[Tensor, Tensor]:
    """Each window mixed with another of the batch by mixup, by cutmix, or not at all."""
    draw = torch.rand(len(windows), device=windows.device)
    has_mixup = draw < params.mixup_probability
    has_cutmix = ~has_mixup & (draw < params.mixup_probability + params.cutmix_probability)
    other = torch.randperm(len(windows), device=windows.device)
    blend = mixup_weights(len(windows), windows.shape[1], params.mixup_alpha, windows.device)
    cut = cutmix_weights(len(windows), windows.shape[1], params.cutmix_alpha, windows.device)
    own = torch.where(has_cutmix[:, None], cut, blend)
    own = torch.where((has_mixup | has_cutmix)[:, None], own, torch.ones_like(own))
    mixed = own.unsqueeze(-1) * windows + (1 - own).unsqueeze(-1) * windows[other]
    share = own.mean(dim=1, keepdim=True)
    return mixed, share * targets + (1 - share) * targets[other]


def mixup_weights(count: int, time: int, alpha: float, device: torch.device) -> Tensor:
    """How much of itself a window keeps at each time step: one share for all; shape [n, time]."""
    return _beta(count, alpha, device)[:, None].expand(-1, time)


def cutmix_weights(count: int, time: int, alpha: float, device: torch.device) -> Tensor:
    """1 where a window stays, 0 in one stretch that comes from another; shape [n, time]."""
    length = ((1.0 - _beta(count, alpha, device)) * time).round().long()
    latest = (time - length + 1).float()
    begin = (torch.rand(count, device=device) * latest).long().clamp(max=time)
    steps = torch.arange(time, device=device)[None, :]
    is_cut = (steps >= begin[:, None]) & (steps < (begin + length)[:, None])
    return (~is_cut).float()


def _beta(count: int, alpha: float, device: torch.device) -> Tensor:
    parameter = torch.full((), alpha, device=device)
    beta = torch.distributions.Beta(parameter, parameter, validate_args=False)  # checks read back
    return beta.sample((count,))
