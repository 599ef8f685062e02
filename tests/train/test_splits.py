from typing import Any

import numpy as np
import pytest

from phasetune.errors import StageError
from phasetune.stage.contract import Fold
from phasetune.train.splits import inner_split, outer_split

LABELS = np.array([0] * 60 + [1] * 30 + [2] * 10)
ROWS = np.arange(len(LABELS))


def fold(index: int = 0, of: int = 5, seed: int = 7) -> Fold:
    return Fold(index=index, of=of, seed=seed)


def shares(rows: Any) -> list[float]:
    return [float((LABELS[rows] == label).mean()) for label in range(3)]


@pytest.mark.parametrize("of", [2, 3, 5, 10])
def test_folds_hold_out_every_row_once_and_train_on_the_others(of: int) -> None:
    held = []
    for index in range(of):
        train, held_out = outer_split(LABELS, fold(index, of))
        assert sorted([*train, *held_out]) == list(ROWS)
        assert list(train) == sorted(train)
        assert list(held_out) == sorted(held_out)
        held += list(held_out)
    assert sorted(held) == list(ROWS)


@pytest.mark.parametrize("index", range(5))
def test_each_class_has_its_share_of_a_fold(index: int) -> None:
    train, held_out = outer_split(LABELS, fold(index))
    assert len(held_out) == 20
    assert shares(held_out) == [0.6, 0.3, 0.1]
    assert shares(train) == [0.6, 0.3, 0.1]


def test_a_refit_trains_on_everything() -> None:
    train, held_out = outer_split(LABELS, None)
    assert list(train) == list(ROWS)
    assert len(held_out) == 0


def test_folds_depend_on_their_seed_and_on_nothing_else() -> None:
    first = outer_split(LABELS, fold())[1]
    np.random.seed(99)
    assert list(outer_split(LABELS, fold())[1]) == list(first)
    assert list(outer_split(LABELS.astype(str), fold())[1]) == list(first)
    assert list(outer_split(LABELS, fold(seed=8))[1]) != list(first)


def test_the_rows_that_are_cut_are_those_that_always_were() -> None:
    labels = np.array([0, 1] * 6)
    assert [list(outer_split(labels, fold(i, 3))[1]) for i in range(3)] == [
        [4, 8, 9, 11],
        [0, 5, 6, 7],
        [1, 2, 3, 10],
    ]
    watched = inner_split(labels, np.arange(12), seed=7, fraction=0.25)[1]
    assert list(watched) == [1, 3, 8]


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_an_inner_split_watches_a_stratified_part_of_the_given_rows(seed: int) -> None:
    rows, _ = outer_split(LABELS, fold())
    fit, watch = inner_split(LABELS, rows, seed=seed)
    assert sorted([*fit, *watch]) == list(rows)
    assert len(watch) == 12
    assert np.bincount(LABELS[watch]).tolist() == [7, 4, 1]
    assert list(fit) == sorted(fit)
    assert list(watch) == sorted(watch)


def test_an_inner_split_depends_on_its_seed_alone() -> None:
    first = inner_split(LABELS, ROWS, seed=7)[1]
    np.random.seed(99)
    assert list(inner_split(LABELS, ROWS, seed=7)[1]) == list(first)
    assert list(inner_split(LABELS, ROWS, seed=8)[1]) != list(first)
    assert len(inner_split(LABELS, ROWS, seed=7, fraction=0.5)[1]) == 50


def test_classes_too_small_for_the_folds_are_refused_by_name() -> None:
    labels = np.array(["cat"] * 20 + ["dog"] * 4)
    assert len(outer_split(labels, fold(of=4))[1]) == 6
    with pytest.raises(StageError, match="class dog has 4 rows, which can't be split 5 ways"):
        outer_split(labels, fold(of=5))


def test_classes_too_small_to_watch_are_refused_by_name() -> None:
    labels = np.array([0] * 20 + [1] * 4)
    with pytest.raises(StageError, match="class 1 has 1 rows, which can't be split 2 ways"):
        inner_split(labels, np.arange(21), seed=0)


def test_more_classes_than_rows_to_watch_are_refused() -> None:
    labels = np.array([0, 1, 2] * 3)
    with pytest.raises(StageError, match="9 rows can't be split to watch 15%"):
        inner_split(labels, np.arange(9), seed=0)
