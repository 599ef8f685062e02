"""Losses of classifiers, on labels or on mixtures of labels."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]

_SMALLEST_DOUBT = 1e-7  # below it a power of less than 1 has an infinite slope


def classification_loss(
    kind: Literal["cross_entropy", "focal"],
    *,
    class_weights: Tensor | None = None,
    focal_gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> Loss:
    """A loss `(logits, targets) -> mean loss`; both have shape [n, classes].

    Targets are probabilities, so that rows may be mixtures of others. Each class's part is
    multiplied by its weight, and the mean is over rows.
    """
    gamma = focal_gamma if kind == "focal" else 0.0

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        smooth = smoothed(targets, label_smoothing)
        return focal_loss(logits, smooth, gamma=gamma, class_weights=class_weights)

    return loss


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float, class_weights: Tensor | None = None
) -> Tensor:
    """Mean of `-w_k t_k (1 - p_k)^gamma log p_k` over rows; cross-entropy where gamma is 0.

    `logits` and `targets` have shape [n, classes], `class_weights` [classes]. Lin et al. 2017,
    "Focal loss for dense object detection", equation 4, for targets that are probabilities.
    """
    log_probabilities = functional.log_softmax(logits.float(), dim=-1)
    parts = -targets * log_probabilities
    if gamma:
        parts = parts * (1.0 - log_probabilities.exp()).clamp(min=_SMALLEST_DOUBT) ** gamma
    if class_weights is not None:
        parts = parts * class_weights
    return parts.sum(dim=-1).mean()


def smoothed(targets: Tensor, amount: float) -> Tensor:
    """Targets moved towards the uniform distribution by `amount`; shape [n, classes].

    Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.
    """
    return targets * (1.0 - amount) + amount / targets.shape[-1]


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weights inverse to how often classes occur, mean 1 over rows; shape [num_classes].

    A class without rows counts as if it had one.
    King and Zeng 2001, "Logistic regression in rare events data", as scikit-learn's `balanced`.
    """
    counts = torch.bincount(labels, minlength=num_classes).float().clamp(min=1.0)
    return len(labels) / (num_classes * counts)
