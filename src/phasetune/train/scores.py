"""Scores of a classifier from labels and probabilities, by scikit-learn, as flat metrics."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def classification_scores(labels: NDArray[Any], probabilities: NDArray[Any]) -> dict[str, float]:
    """Scores of `probabilities`, shape [n, classes], against `labels`, integers of shape [n].

    Per class k `class_k_accuracy` (the share of its rows that are found, also as `class_k_recall`),
    `class_k_precision` and `class_k_f1`; `macro_*` are their means over the classes that have rows;
    `worst_class_accuracy`, `accuracy`, `auroc` (one against the rest, mean over classes; of class 1
    where there are two), `log_loss`, `confusion_i_j` (rows of class i taken for class j) and
    `predicted_classes` (how many classes are predicted at all). What rows can't tell, such as the
    accuracy of a class that has none of them, is NaN; the precision of a class that is never
    predicted is 0.
    """
    from sklearn import metrics

    classes = list(range(probabilities.shape[1]))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0.0
    )
    is_there = np.bincount(labels, minlength=len(classes)) > 0
    recall[~is_there] = math.nan
    confusion = metrics.confusion_matrix(labels, predicted, labels=classes)
    per_class: dict[str, float] = {}
    for k in classes:
        found = {"accuracy": recall, "precision": precision, "recall": recall, "f1": f1}
        per_class |= {f"class_{k}_{name}": float(values[k]) for name, values in found.items()}
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "worst_class_accuracy": float(np.nanmin(recall)),
        "macro_precision": float(precision[is_there].mean()),
        "macro_recall": float(recall[is_there].mean()),
        "macro_f1": float(f1[is_there].mean()),
        "auroc": _auroc(labels, probabilities),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=classes)),
        "predicted_classes": float(len(np.unique(predicted))),
        **per_class,
        **{f"confusion_{i}_{j}": float(confusion[i, j]) for i in classes for j in classes},
    }


def _auroc(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < probabilities.shape[1]:
        return math.nan
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr"))
