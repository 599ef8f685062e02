"""Losses: against values worked out by hand, and against torch and scikit-learn."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from phasetune.train.losses import balanced_weights, classification_loss, focal_loss, smoothed

WEIGHTS = torch.tensor([0.5, 1.0, 4.0])
LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 0])


def drawn(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits with a gradient, and mixtures of labels; both of shape [7, 3]."""
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(7, 3, generator=generator)).requires_grad_()
    return logits, torch.rand(7, 3, generator=generator).softmax(dim=-1)


def hard() -> Tensor:
    return functional.one_hot(LABELS, 3).float()


def assert_same_loss_and_gradient(logits: Tensor, loss: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize(
    ("probabilities", "targets", "gamma", "weights", "expected"),
    [
        ([[0.5, 0.5]], [[1, 0]], 0.0, None, log(2)),
        ([[0.5, 0.5]], [[1, 0]], 1.0, None, 0.5 * log(2)),
        ([[0.5, 0.5]], [[1, 0]], 2.0, None, 0.25 * log(2)),
        ([[0.2, 0.8]], [[1, 0]], 2.0, None, 0.64 * log(5)),
        ([[0.2, 0.8]], [[1, 0]], 0.5, None, 0.8**0.5 * log(5)),
        ([[0.2, 0.8]], [[0, 1]], 2.0, None, 0.04 * log(1.25)),
        ([[0.2, 0.8]], [[1, 0]], 2.0, [3, 5], 3 * 0.64 * log(5)),
        ([[0.25, 0.75]], [[0.4, 0.6]], 1.0, None, 0.4 * 0.75 * log(4) + 0.6 * 0.25 * log(4 / 3)),
        ([[0.25, 0.75]], [[0.4, 0.6]], 0.0, [2, 1], 0.8 * log(4) + 0.6 * log(4 / 3)),
        ([[0.7, 0.2, 0.1]], [[0, 0, 1]], 2.0, None, 0.81 * log(10)),
        ([[0.5, 0.5], [0.2, 0.8]], [[1, 0], [0, 1]], 1.0, [1, 3], (log(2) + 1.2 * log(1.25)) / 4),
    ],
    ids=str,
)
def test_the_focal_loss_is_what_the_paper_says(
    probabilities: list[list[float]],
    targets: list[list[float]],
    gamma: float,
    weights: list[float] | None,
    expected: float,
) -> None:
    loss = focal_loss(
        torch.tensor(probabilities).log() + 1.5,
        torch.tensor(targets),
        gamma=gamma,
        class_weights=None if weights is None else torch.tensor(weights),
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_cross_entropy_of_labels_is_torch_s(smoothing: float) -> None:
    logits, _ = drawn()
    loss = classification_loss("cross_entropy", label_smoothing=smoothing)(logits, hard())
    expected = functional.cross_entropy(logits, LABELS, label_smoothing=smoothing)
    assert_same_loss_and_gradient(logits, loss, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_cross_entropy_of_mixtures_is_torch_s(weights: Tensor | None, smoothing: float) -> None:
    logits, mixtures = drawn()
    loss = classification_loss("cross_entropy", class_weights=weights, label_smoothing=smoothing)
    expected = functional.cross_entropy(logits, mixtures, weights, label_smoothing=smoothing)
    assert_same_loss_and_gradient(logits, loss(logits, mixtures), expected)


def test_weighted_cross_entropy_of_labels_is_torch_s_with_the_mean_over_rows() -> None:
    logits, _ = drawn()
    loss = classification_loss("cross_entropy", class_weights=WEIGHTS)(logits, hard())
    summed = functional.cross_entropy(logits, LABELS, WEIGHTS, reduction="sum")
    assert_same_loss_and_gradient(logits, loss, summed / len(LABELS))


def test_focal_without_gamma_is_cross_entropy_and_cross_entropy_has_no_gamma() -> None:
    logits, mixtures = drawn()
    plain = classification_loss("cross_entropy", class_weights=WEIGHTS, label_smoothing=0.2)
    loss = plain(logits, mixtures)
    for kind, gamma in (("focal", 0.0), ("cross_entropy", 5.0)):
        other = classification_loss(
            "focal" if kind == "focal" else "cross_entropy",
            class_weights=WEIGHTS,
            focal_gamma=gamma,
            label_smoothing=0.2,
        )
        assert torch.equal(other(logits, mixtures), loss)


def test_gamma_is_2_unless_told() -> None:
    logits, mixtures = drawn()
    expected = focal_loss(logits, mixtures, gamma=2.0)
    assert torch.equal(classification_loss("focal")(logits, mixtures), expected)


def test_half_precision_logits_are_summed_up_in_full_precision() -> None:
    logits, mixtures = drawn()
    half = logits.detach().bfloat16()
    loss = classification_loss("focal")
    assert torch.equal(loss(half, mixtures), loss(half.float(), mixtures))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("targets", [[[1.0, 0.0]], [[0.0, 1.0]], [[0.3, 0.7]]], ids=str)
@pytest.mark.parametrize("gap", [20.0, 200.0, 1e6])
def test_certainty_gives_a_finite_loss_and_gradient(
    gap: float, targets: list[list[float]], gamma: float
) -> None:
    logits = torch.tensor([[gap, 0.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor(targets), gamma=gamma)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool(loss.isfinite())
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize(
    ("targets", "amount", "expected"),
    [
        ([1, 0, 0, 0], 0.0, [1, 0, 0, 0]),
        ([1, 0, 0, 0], 0.2, [0.85, 0.05, 0.05, 0.05]),
        ([0.5, 0.5], 0.5, [0.5, 0.5]),
        ([0.75, 0.25], 0.5, [0.625, 0.375]),
        ([0, 1, 0, 0], 1.0, [0.25, 0.25, 0.25, 0.25]),
    ],
    ids=str,
)
def test_smoothing_moves_targets_towards_uniform(
    targets: list[float], amount: float, expected: list[float]
) -> None:
    moved = smoothed(torch.tensor([targets]), amount)
    torch.testing.assert_close(moved, torch.tensor([expected]).float())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1], [1.0, 1.0]),
        ([0, 0, 0, 1], [2 / 3, 2.0]),
        ([2, 0, 1, 2, 2, 2], [2.0, 2.0, 0.5]),
        ([0, 0], [1.0]),
    ],
    ids=str,
)
def test_balanced_weights_are_inverse_to_how_often_classes_occur(
    labels: list[int], expected: list[float]
) -> None:
    weights = balanced_weights(torch.tensor(labels), len(expected))
    torch.testing.assert_close(weights, torch.tensor(expected))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_balanced_weights_are_scikit_learn_s_and_1_in_the_mean(
    counts: list[int], random: np.random.Generator
) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    weights = balanced_weights(torch.tensor(labels), len(counts))
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights[labels].mean().item() == pytest.approx(1.0, rel=1e-5)
