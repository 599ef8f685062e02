"""The named sources: how many windows of which part, and none of them twice."""

from itertools import combinations
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune.workloads.windows import Data, sources
from phasetune.workloads.windows.synthetic import price_windows

PARTS: tuple[Any, ...] = ("unlabeled", "train", "test")
DIGITS: dict[str, Any] = {"source": "digits"}
SYNTHETIC: dict[str, Any] = {"source": "synthetic", "windows": 60, "unlabeled": 60, "seed": 3}


def rows(windows: NDArray[np.float32]) -> set[bytes]:
    return {row.tobytes() for row in windows}


@pytest.mark.parametrize(
    ("block", "counts", "shape"),
    [
        (DIGITS, (899, 538, 360), (8, 8)),
        (SYNTHETIC, (60, 48, 12), (105, 4)),
        ({"source": "synthetic", "windows": 50}, (200, 40, 10), (105, 4)),
        ({"source": "synthetic", "windows": 53, "unlabeled": 20}, (20, 42, 11), (105, 4)),
    ],
)
def test_each_part_has_its_windows(
    block: dict[str, Any], counts: tuple[int, ...], shape: tuple[int, int]
) -> None:
    data = Data(**block)
    for part, count in zip(PARTS, counts, strict=True):
        assert data.windows_of(part).shape == (count, *shape)
        assert data.windows_of(part).dtype == np.float32
    assert data.labels_of("train").shape == (counts[1],)
    assert data.labels_of("test").shape == (counts[2],)


@pytest.mark.parametrize("block", [DIGITS, SYNTHETIC])
def test_no_window_is_in_two_parts_or_twice_in_one(block: dict[str, Any]) -> None:
    data = Data(**block)
    parts = [rows(data.windows_of(part)) for part in PARTS]
    assert [len(part) for part in parts] == [len(data.windows_of(part)) for part in PARTS]
    assert all(one.isdisjoint(other) for one, other in combinations(parts, 2))


def test_digits_are_those_of_scikit_learn_with_their_labels() -> None:
    from sklearn.datasets import load_digits

    images, numbers = load_digits(return_X_y=True)
    keys = [image.tobytes() for image in images.astype(np.float32)]
    of = dict(zip(keys, numbers, strict=True))
    data = Data(**DIGITS)
    for part in ("train", "test"):
        expected = [of[window.tobytes()] for window in data.windows_of(part)]
        assert data.labels_of(part).tolist() == expected
    assert rows(data.windows_of("unlabeled")) < of.keys()


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_digit_is_in_every_part_about_as_often(part: Any) -> None:
    counts = np.bincount(Data(**DIGITS).labels_of(part))
    assert len(counts) == 10
    assert counts.max() - counts.min() <= 0.1 * counts.sum() / 10 + 1


def test_digits_are_the_same_rows_whatever_numpy_s_generator_says() -> None:
    first = Data(**DIGITS).windows_of("test")
    np.random.seed(99)
    assert np.array_equal(Data(**DIGITS).windows_of("test"), first)


@pytest.mark.parametrize("part", PARTS)
def test_made_windows_depend_on_the_seed(part: Any) -> None:
    first, again, other = (
        Data(**{**SYNTHETIC, "seed": seed}).windows_of(part) for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert rows(first).isdisjoint(rows(other))


def test_train_and_test_are_made_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def counted(count: int, *, seed: int) -> Any:
        counts.append(count)
        return price_windows(count, seed=seed)

    monkeypatch.setattr(sources, "price_windows", counted)
    for first, second in (("train", "test"), ("test", "train")):
        data = Data(**SYNTHETIC)
        for part in (first, second, "unlabeled"):
            data.windows_of(cast(Any, part))
        assert len(data.labels_of("train")) == 48
    assert counts == [60, 60] * 2


def test_labelled_windows_do_not_depend_on_how_many_are_not() -> None:
    few, many = (Data(**{**SYNTHETIC, "unlabeled": count}) for count in (20, 80))
    for part in ("train", "test"):
        assert np.array_equal(few.windows_of(part), many.windows_of(part))
        assert np.array_equal(few.labels_of(part), many.labels_of(part))


def test_both_labelled_parts_have_both_kinds_of_windows() -> None:
    data = Data(source="synthetic", windows=400)
    assert 0.2 < data.labels_of("train").mean() < 0.5
    assert 0.2 < data.labels_of("test").mean() < 0.5
