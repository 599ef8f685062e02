"""Augmentation of a batch: what changes, what stays, and for how many of its windows."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from phasetune.workloads.windows.augment import (
    augmented,
    cutmix_weights,
    jittered,
    mixup_weights,
    scaled,
    varied,
    warped,
)
from phasetune.workloads.windows.params import Finetune

CPU = torch.device("cpu")
OFF = {f"{kind}_probability": 0.0 for kind in ("jitter", "scaling", "time_warp", "mixup", "cutmix")}
NEVER = (1.0, 0.0)


def ramps(count: int, time: int = 30) -> Tensor:
    """Windows that rise from 0 to 1 in one channel, and from 1 to 3 in another."""
    rise = torch.linspace(0.0, 1.0, time)
    return torch.stack([rise, 1.0 + 2.0 * rise], dim=1).repeat(count, 1, 1)


def numbered(count: int, time: int = 40) -> tuple[Tensor, Tensor]:
    """Windows that are all their own number, and targets that tell it."""
    numbers = torch.arange(count, dtype=torch.float32)
    return numbers[:, None, None].repeat(1, time, 1), torch.eye(count)


def changed(windows: Tensor, targets: Tensor, **params: Any) -> tuple[Tensor, Tensor]:
    return augmented(windows, targets, Finetune(**{**OFF, **params}))


def is_changed(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).flatten(1).any(dim=1)


def mean_move(sigma: float) -> float:
    torch.manual_seed(3)
    windows = ramps(200)
    moved = changed(windows, torch.eye(200), time_warp_sigma=sigma, time_warp_probability=1.0)[0]
    return float((moved - windows).abs().mean())


def test_the_size_of_a_time_warp_changes_the_batches() -> None:
    moves = [mean_move(sigma) for sigma in (0.0, 0.05, 0.12, 0.20, 0.40)]
    assert moves[0] < 1e-6
    assert all(more - less > 0.002 for less, more in pairwise(moves))


@pytest.mark.parametrize("sigma", [0.12, 1.0, 20.0])
def test_a_warp_keeps_the_ends_and_the_order_of_time(sigma: float) -> None:
    after = warped(ramps(300), sigma)
    assert torch.allclose(after[:, [0, -1]], ramps(300)[:, [0, -1]], atol=1e-5)
    assert (after.diff(dim=1) >= -1e-6).all()
    assert after.isfinite().all()


def test_a_warp_moves_all_channels_of_a_window_alike_and_each_window_in_its_way() -> None:
    after = warped(ramps(50), 0.3)
    assert torch.allclose(after[:, :, 1], 1.0 + 2.0 * after[:, :, 0], atol=1e-5)
    assert len({tuple(row) for row in after[:, :, 0].tolist()}) == 50


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_sigma_is_about_the_deviation_of_the_speed(sigma: float) -> None:
    speed = warped(ramps(2000, time=101), sigma)[:, :, 0].diff(dim=1) * 100
    assert speed.mean() == pytest.approx(1.0, abs=0.01)
    assert 0.6 * sigma < float(speed.std()) < 1.0 * sigma


def test_a_warp_goes_between_time_steps() -> None:
    after = warped(torch.tensor([0.0, 10.0, 10.0, 0.0])[None, :, None].repeat(500, 1, 1), 0.3)
    assert after.min() >= -1e-5
    assert after.max() <= 10.0 + 1e-5
    assert ((after > 5.0) & (after < 9.9)).any()


def test_windows_of_two_time_steps_are_only_ends() -> None:
    assert torch.allclose(warped(ramps(5, time=2), 0.3), ramps(5, time=2), atol=1e-6)


def test_scaling_keeps_the_ratios_of_a_window() -> None:
    windows = torch.randn(3000, 5, 2)
    ratios = scaled(windows, 0.1) / windows
    factors = ratios[:, 0, 0]
    assert torch.allclose(ratios, factors[:, None, None].expand_as(ratios), rtol=1e-4)
    assert float(factors.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(factors.std()) == pytest.approx(0.1, abs=0.01)


def test_jitter_is_noise_of_its_size_on_every_value() -> None:
    noise = jittered(torch.full((200, 20, 4), 7.0), 0.03) - 7.0
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.002)
    assert float(noise.std()) == pytest.approx(0.03, abs=0.002)
    assert noise.flatten().unique().numel() > 1000
    assert float(noise.mean(dim=(1, 2)).std()) < 0.01


KINDS = ("jitter", "scaling", "time_warp", "mixup", "cutmix")
STRONG = {"mixup_alpha": 100.0, "cutmix_alpha": 100.0, "time_warp_sigma": 0.5}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("probability", "low", "high"), [(0.0, 0.0, 0.0), (0.5, 0.42, 0.58), (1.0, 0.98, 1.0)]
)
def test_each_kind_changes_its_share_of_the_windows(
    kind: str, probability: float, low: float, high: float
) -> None:
    windows = torch.randn(600, 20, 2)
    after, _ = changed(windows, torch.eye(600), **{**STRONG, f"{kind}_probability": probability})
    assert after.shape == windows.shape
    assert low <= float(is_changed(windows, after).float().mean()) <= high


@pytest.mark.parametrize("kind", ["jitter", "scaling", "time_warp"])
def test_a_sigma_of_zero_leaves_windows_as_they_are(kind: str) -> None:
    windows = torch.randn(20, 15, 3)
    after, _ = changed(windows, torch.eye(20), **{f"{kind}_probability": 1.0, f"{kind}_sigma": 0.0})
    assert torch.allclose(after, windows, atol=1e-5)


def test_kinds_are_drawn_apart_from_each_other() -> None:
    windows = torch.randn(4000, 10, 1)
    half = (0.3, 0.5)
    after = varied(windows, time_warp=half, scaling=half, jitter=half)
    untouched = 1.0 - float(is_changed(windows, after).float().mean())
    assert untouched == pytest.approx(1 / 8, abs=0.03)
    assert torch.equal(varied(windows, time_warp=NEVER, scaling=NEVER, jitter=NEVER), windows)


def test_one_way_of_mixing_for_each_window() -> None:
    windows, targets = numbered(1000)
    after, _ = changed(windows, targets, **STRONG, mixup_probability=0.25, cutmix_probability=0.35)
    moves = is_changed(windows, after)
    is_cut = (after != after[:, :1]).flatten(1).any(dim=1)
    assert float(is_cut.float().mean()) == pytest.approx(0.35, abs=0.05)
    assert float((moves & ~is_cut).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_probabilities_that_sum_to_one_mix_every_window() -> None:
    windows, targets = numbered(300)
    after, _ = changed(windows, targets, **STRONG, mixup_probability=0.5, cutmix_probability=0.5)
    assert int((~is_changed(windows, after)).sum()) <= 8  # those that met themselves


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 100.0])
def test_targets_are_mixed_as_the_windows_are(kind: str, alpha: float) -> None:
    windows, targets = numbered(60)
    after, mixed = changed(windows, targets, **{f"{kind}_probability": 1.0, f"{kind}_alpha": alpha})
    assert torch.allclose(mixed.sum(dim=1), torch.ones(60), atol=1e-5)
    assert ((mixed >= 0) & (mixed <= 1)).all()
    assert int((mixed > 0).sum(dim=1).max()) == 2
    assert torch.allclose(after.mean(dim=1)[:, 0], mixed @ torch.arange(60.0), atol=1e-3)


def test_mixup_blends_all_of_a_window_with_one_share() -> None:
    windows, targets = numbered(60)
    after, _ = changed(windows, targets, mixup_probability=1.0, mixup_alpha=50.0)
    assert torch.allclose(after, after[:, :1].expand_as(after), atol=1e-4)
    assert (after != after.round()).any()


def test_cutmix_takes_one_stretch_of_another_window() -> None:
    windows, targets = numbered(60)
    after, mixed = changed(windows, targets, cutmix_probability=1.0, cutmix_alpha=1.0)
    for number, (window, target) in enumerate(zip(after[:, :, 0], mixed, strict=True)):
        is_foreign = window != number
        assert len(window[is_foreign].unique()) <= 1
        assert is_foreign.int().diff(prepend=torch.zeros(1, dtype=torch.int)).eq(1).sum() <= 1
        assert float(target[number]) == pytest.approx(float((~is_foreign).float().mean()), abs=1e-5)


@pytest.mark.parametrize(
    ("alpha", "low", "high"), [(0.02, 0.4, 0.51), (1.0, 0.25, 0.33), (500.0, 0.0, 0.05)]
)
def test_alpha_says_how_far_shares_are_from_one_half(alpha: float, low: float, high: float) -> None:
    for weights in (mixup_weights, cutmix_weights):
        share = weights(2000, 50, alpha, CPU).mean(dim=1)
        assert float(share.mean()) == pytest.approx(0.5, abs=0.05)
        assert low <= float(share.std()) <= high


@pytest.mark.parametrize(("kind", "other"), [("mixup", "cutmix"), ("cutmix", "mixup")])
def test_each_way_of_mixing_has_its_own_alpha(kind: str, other: str) -> None:
    windows, targets = numbered(200)
    alphas: dict[str, Any] = {f"{kind}_alpha": 500.0, f"{other}_alpha": 0.01}
    _, mixed = changed(windows, targets, **alphas, **{f"{kind}_probability": 1.0})
    assert float(mixed.amax(dim=1).median()) < 0.6


def test_a_cut_may_be_anywhere_in_a_window() -> None:
    kept = cutmix_weights(3000, 12, 1.0, CPU)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert (kept.mean(dim=0) > 0.3).all()
    assert (kept.mean(dim=0) < 0.8).all()
    assert {round(share) for share in kept.sum(dim=1).tolist()} == set(range(13))


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 500.0])
def test_shares_are_those_of_torch_s_beta_distribution(alpha: float) -> None:
    torch.manual_seed(5)
    found = mixup_weights(50, 3, alpha, CPU)
    torch.manual_seed(5)
    expected = torch.distributions.Beta(alpha, alpha).sample((50,))
    assert torch.equal(found, expected[:, None].expand(-1, 3))


class NoReading(TorchDispatchMode):
    """Refuses to bring a value of a tensor to Python, which would wait for a GPU."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("a value was read back")
        return func(*args, **(kwargs or {}))


def test_nothing_of_a_batch_is_read_back() -> None:
    params = Finetune(mixup_probability=0.5, cutmix_probability=0.5)
    with pytest.raises(AssertionError, match="read back"), NoReading():  # type: ignore[no-untyped-call]
        torch.distributions.Beta(torch.ones(()), torch.ones(()), validate_args=True)
    with NoReading():  # type: ignore[no-untyped-call]
        augmented(torch.randn(20, 15, 3), torch.eye(20), params)


def test_what_was_given_is_not_changed_and_a_seed_decides() -> None:
    windows, targets = torch.randn(20, 15, 3), torch.eye(20)
    before = windows.clone()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(augmented(windows, targets, Finetune()))
    assert torch.equal(windows, before)
    assert torch.equal(targets, torch.eye(20))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
    assert not torch.equal(drawn[0][0], drawn[2][0])
