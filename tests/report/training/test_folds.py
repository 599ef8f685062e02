"""The table per fold: which is best, and how they scatter."""

import math
from statistics import stdev

import pytest

from phasetune.report.training.curves import Curves, curves_of_lists
from phasetune.report.training.folds import fold_document, fold_table, fold_text

BEST = [0.3456, 0.3312, 0.3589, 0.3401, 0.3478]


def folds(*losses: list[float], noun: str = "Fold") -> dict[str, Curves]:
    return {f"{noun} {i}": curves_of_lists(own, own) for i, own in enumerate(losses, start=1)}


def test_five_folds_as_people_know_them() -> None:
    text = fold_text(fold_table(folds(*([best + 0.1, best, best + 0.01] for best in BEST))))
    assert text == (
        "K-FOLD CROSS-VALIDATION RESULTS\n"
        "================================================================================\n"
        "\n"
        "Best Validation Loss per Fold:\n"
        "  Fold 1: 0.3456  (epoch 2 of 3, final 0.3556)\n"
        "  Fold 2: 0.3312  (epoch 2 of 3, final 0.3412)\n"
        "  Fold 3: 0.3589  (epoch 2 of 3, final 0.3689)\n"
        "  Fold 4: 0.3401  (epoch 2 of 3, final 0.3501)\n"
        "  Fold 5: 0.3478  (epoch 2 of 3, final 0.3578)\n"
        "\n"
        "Aggregated Results:\n"
        "  Mean Best Val Loss:   0.3447 ± 0.0102\n"
        "  Mean Final Val Loss:  0.3547 ± 0.0102\n"
        "  Min Best Val Loss:    0.3312\n"
        "  Max Best Val Loss:    0.3589\n"
        "  Best Fold:            Fold 2\n"
        "\n"
        "  ± is the standard deviation of a sample, divided by n - 1.\n"
    )


def test_the_deviation_is_that_of_a_sample() -> None:
    table = fold_table(folds(*([best] for best in BEST)))
    assert table.best.std == pytest.approx(stdev(BEST))
    assert table.best.std == pytest.approx(math.sqrt(5 / 4) * 0.009115569)


def test_the_document_says_the_same() -> None:
    found = fold_document(fold_table(folds([0.5, 0.4], [0.2])))
    assert found["k"] == 2
    assert found["best_fold"] == "Fold 2"
    assert found["folds"][0] == {
        "fold": "Fold 1",
        "epochs": 2,
        "best_epoch": 2,
        "best_val_loss": 0.4,
        "final_val_loss": 0.4,
    }
    assert found["aggregated"]["mean_best_val_loss"] == pytest.approx(0.3)
    assert found["aggregated"]["min_best_val_loss"] == 0.2
    assert found["aggregated"]["max_best_val_loss"] == 0.4


def test_a_fold_that_diverged_counts_in_no_mean_and_that_is_said() -> None:
    text = fold_text(fold_table(folds([0.4], [math.nan], [0.6, math.inf])))
    assert "  Fold 2: no finite validation loss\n" in text
    assert "  Fold 3: 0.6000  (epoch 1 of 2, final inf)\n" in text
    assert "  Mean Best Val Loss:   0.5000 ± 0.1414 (over 2 of 3 folds)\n" in text
    assert "  Mean Final Val Loss:  0.4000 (over 1 of 3 folds)\n" in text


def test_one_fold_claims_no_deviation() -> None:
    table = fold_table(folds([0.4]))
    assert fold_document(table)["aggregated"]["std_best_val_loss"] is None
    assert "Mean Best Val Loss:   0.4000\n" in fold_text(table)


def test_no_fold_may_be_the_best() -> None:
    table = fold_table(folds([math.nan], [math.inf]))
    assert table.best_fold is None
    assert "Best Fold:            none has a finite loss\n" in fold_text(table)
    assert "-inf" not in fold_text(table)


def test_the_first_of_equal_folds_is_best() -> None:
    assert fold_table(folds([0.5], [0.4], [0.4])).best_fold == "Fold 2"


def test_seeds_are_no_folds() -> None:
    text = fold_text(fold_table(folds([0.5], [0.4], noun="Seed")))
    assert text.startswith("RESULTS OVER SEEDS\n")
    assert "Best Seed:            Seed 2\n" in text
    assert "Fold" not in text
