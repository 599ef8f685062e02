"""Scores: against tables worked out by hand, and what they are where rows can't tell."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phasetune.train.scores import classification_scores

SURE_OF_0 = [0.9, 0.1]


def scores(labels: Any, probabilities: Any) -> dict[str, float]:
    """Of lists; a warning on the way is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return classification_scores(np.array(labels), np.array(probabilities))


def mean_log_loss(*of_the_label: float) -> float:
    return -sum(map(math.log, of_the_label)) / len(of_the_label)


def test_scores_of_two_classes_are_those_worked_out_by_hand() -> None:
    """Predicted 0 1 1 1 1; of the pairs of one 1 and one 0, three of six are in order."""
    found = scores([0, 0, 0, 1, 1], [[1 - p, p] for p in (0.2, 0.6, 0.9, 0.8, 0.55)])
    assert found == pytest.approx(
        {
            "accuracy": 3 / 5,
            "worst_class_accuracy": 1 / 3,
            "macro_precision": 3 / 4,
            "macro_recall": 2 / 3,
            "macro_f1": 7 / 12,
            "auroc": 3 / 6,
            "log_loss": mean_log_loss(0.8, 0.4, 0.1, 0.8, 0.55),
            "predicted_classes": 2.0,
            "class_0_accuracy": 1 / 3,
            "class_0_precision": 1.0,
            "class_0_recall": 1 / 3,
            "class_0_f1": 1 / 2,
            "class_1_accuracy": 1.0,
            "class_1_precision": 1 / 2,
            "class_1_recall": 1.0,
            "class_1_f1": 2 / 3,
            "confusion_0_0": 1.0,
            "confusion_0_1": 2.0,
            "confusion_1_0": 0.0,
            "confusion_1_1": 2.0,
        }
    )


THREE_CLASSES = [
    [0.7, 0.2, 0.1],
    [0.3, 0.6, 0.1],
    [0.2, 0.5, 0.3],
    [0.1, 0.6, 0.3],
    [0.2, 0.1, 0.7],
    [0.5, 0.3, 0.2],
]


def test_scores_of_three_classes_are_those_worked_out_by_hand() -> None:
    """Predicted 0 1 1 1 2 0; of eight pairs per class 7, 6.5 (with a tie) and 6 are in order."""
    assert scores([0, 0, 1, 1, 2, 2], THREE_CLASSES) == pytest.approx(
        {
            "accuracy": 4 / 6,
            "worst_class_accuracy": 1 / 2,
            "macro_precision": (1 / 2 + 2 / 3 + 1) / 3,
            "macro_recall": 2 / 3,
            "macro_f1": (1 / 2 + 4 / 5 + 2 / 3) / 3,
            "auroc": (7 + 6.5 + 6) / 24,
            "log_loss": mean_log_loss(0.7, 0.3, 0.5, 0.6, 0.7, 0.2),
            "predicted_classes": 3.0,
            "class_0_accuracy": 1 / 2,
            "class_0_precision": 1 / 2,
            "class_0_recall": 1 / 2,
            "class_0_f1": 1 / 2,
            "class_1_accuracy": 1.0,
            "class_1_precision": 2 / 3,
            "class_1_recall": 1.0,
            "class_1_f1": 4 / 5,
            "class_2_accuracy": 1 / 2,
            "class_2_precision": 1.0,
            "class_2_recall": 1 / 2,
            "class_2_f1": 2 / 3,
            "confusion_0_0": 1.0,
            "confusion_0_1": 1.0,
            "confusion_0_2": 0.0,
            "confusion_1_0": 0.0,
            "confusion_1_1": 2.0,
            "confusion_1_2": 0.0,
            "confusion_2_0": 1.0,
            "confusion_2_1": 0.0,
            "confusion_2_2": 1.0,
        }
    )


def test_the_mean_auroc_counts_each_class_alike_however_many_rows_it_has() -> None:
    found = scores([0, 1, 1, 1, 1, 2], THREE_CLASSES)
    of_0, of_1, of_2 = 5 / 5, (2 + 2 + 2 + 0) / 8, 2 / 5
    assert found["auroc"] == pytest.approx((of_0 + of_1 + of_2) / 3)


@pytest.mark.parametrize(
    ("labels", "accuracies", "predicted"),
    [
        ([0, 0, 1, 1, 0, 1], [1 / 3, 2 / 3, math.nan], 3.0),
        ([0, 2, 2, 2, 2, 2], [1.0, math.nan, 1 / 5], 3.0),
        ([1, 1, 1, 1, 1, 1], [math.nan, 1 / 2, math.nan], 3.0),
    ],
    ids=["no class 2", "no class 1", "class 1 alone"],
)
def test_what_rows_can_t_tell_of_a_class_without_them_is_nan(
    labels: list[int], accuracies: list[float], predicted: float
) -> None:
    found = scores(labels, THREE_CLASSES)
    told = [accuracy for accuracy in accuracies if not math.isnan(accuracy)]
    for k, accuracy in enumerate(accuracies):
        assert found[f"class_{k}_accuracy"] == pytest.approx(accuracy, nan_ok=True)
        assert found[f"class_{k}_recall"] == pytest.approx(accuracy, nan_ok=True)
    assert found["worst_class_accuracy"] == pytest.approx(min(told))
    assert found["macro_recall"] == pytest.approx(sum(told) / len(told))
    assert found["predicted_classes"] == predicted
    assert math.isnan(found["auroc"])
    assert math.isfinite(found["log_loss"])


def test_the_auroc_of_one_class_of_two_is_nan() -> None:
    found = scores([1, 1], [[0.2, 0.8], [0.6, 0.4]])
    assert math.isnan(found["auroc"])
    assert found["log_loss"] == pytest.approx(mean_log_loss(0.8, 0.4))


def test_a_collapse_to_one_class_shows() -> None:
    found = scores([0, 1, 1, 0, 0], [SURE_OF_0] * 5)
    assert found["predicted_classes"] == 1.0
    assert found["worst_class_accuracy"] == 0.0
    assert found["accuracy"] == 3 / 5
    assert found["auroc"] == 0.5
    assert (found["class_0_accuracy"], found["class_0_precision"]) == (1.0, 3 / 5)
    assert (found["class_1_accuracy"], found["class_1_precision"]) == (0.0, 0.0)
    assert found["class_1_f1"] == 0.0
    assert (found["macro_recall"], found["macro_precision"]) == (0.5, 3 / 10)


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        ([0, 1], [[1.0, 0.0], [0.0, 1.0]], {"accuracy": 1.0, "auroc": 1.0, "log_loss": 0.0}),
        ([0, 1], [[0.0, 1.0], [1.0, 0.0]], {"accuracy": 0.0, "auroc": 0.0, "macro_f1": 0.0}),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], {"predicted_classes": 1.0, "class_0_accuracy": 1.0}),
        ([0], [[0.9, 0.1]], {"accuracy": 1.0, "worst_class_accuracy": 1.0}),
    ],
    ids=["certain and right", "certain and wrong", "a tie is the first class", "one row"],
)
def test_extremes_have_finite_scores(
    labels: list[int], probabilities: list[list[float]], expected: dict[str, float]
) -> None:
    found = scores(labels, probabilities)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert math.isfinite(found["log_loss"])


def drawn(seed: int, *, num_classes: int, num_rows: int) -> NDArray[np.float64]:
    logits = 3.0 * np.random.default_rng(seed).standard_normal((num_rows, num_classes))
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_single_precision_scores_alike(num_classes: int) -> None:
    probabilities = drawn(0, num_classes=num_classes, num_rows=500)
    labels = np.arange(500) % num_classes
    found = scores(labels.astype(np.int32), probabilities.astype(np.float32))
    assert found == pytest.approx(scores(labels, probabilities), rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1), min_size=1, max_size=12))
    ),
    st.integers(0, 2**32 - 1),
)
def test_scores_are_plain_numbers_that_agree_with_the_confusion(
    rows: tuple[int, list[int]], seed: int
) -> None:
    num_classes, labels = rows
    probabilities = drawn(seed, num_classes=num_classes, num_rows=len(labels))
    found = scores(labels, probabilities)
    confusion = np.zeros((num_classes, num_classes))
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1.0)
    assert {type(value) for value in found.values()} == {float}
    for i in range(num_classes):
        assert [found[f"confusion_{i}_{j}"] for j in range(num_classes)] == list(confusion[i])
    predicted = confusion.sum(axis=0)
    assert found["accuracy"] == pytest.approx(confusion.trace() / len(labels))
    assert found["predicted_classes"] == (predicted > 0).sum()
    precision = confusion.diagonal() / np.maximum(predicted, 1.0)
    assert [found[f"class_{k}_precision"] for k in range(num_classes)] == pytest.approx(precision)
    has_rows = confusion.sum(axis=1) > 0
    assert found["macro_precision"] == pytest.approx(precision[has_rows].mean())
    assert math.isnan(found["auroc"]) == (len(set(labels)) < num_classes)
