"""Price windows made from a seed: what any of them must be, and how many are of which class."""

import os
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune import StageError
from phasetune.workloads.windows.synthetic import CHANNELS, price_windows

MANY = 2000


@pytest.fixture(scope="module")
def prices() -> dict[str, NDArray[np.float32]]:
    """Bars of many windows by channel, each of shape [2000, 105]."""
    bars = price_windows(MANY, seed=7)[0]
    return {name: bars[:, :, i] for i, name in enumerate(CHANNELS)}


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return price_windows(MANY, seed=7)[1]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_windows_and_labels_have_their_shapes_and_types(count: int) -> None:
    windows, labels = price_windows(count, seed=0)
    assert windows.shape == (count, 105, 4)
    assert windows.dtype == np.float32
    assert labels.shape == (count,)
    assert labels.dtype == np.int64


def test_more_windows_than_memory_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 2**12)  # pages of 4 KiB, 4096 of them: 16 MiB
    assert len(price_windows(20, seed=0)[0]) == 20
    with pytest.raises(StageError) as caught:
        price_windows(1_000_000, seed=0)
    told = re.fullmatch(
        r"making 1,000,000 windows needs (\d+) bytes, but this machine has 16777216",
        str(caught.value),
    )
    assert told is not None
    assert int(told[1]) > 1_000_000 * 105 * 4 * 4  # of the windows alone


def test_high_is_the_highest_and_low_the_lowest(prices: dict[str, NDArray[np.float32]]) -> None:
    every = np.stack(list(prices.values()))
    assert np.array_equal(prices["high"], every.max(axis=0))
    assert np.array_equal(prices["low"], every.min(axis=0))
    assert (prices["high"] > np.maximum(prices["open"], prices["close"])).mean() > 0.3
    assert (prices["low"] < np.minimum(prices["open"], prices["close"])).mean() > 0.3


def test_a_bar_opens_where_the_one_before_closed(prices: dict[str, NDArray[np.float32]]) -> None:
    assert np.array_equal(prices["open"][:, 1:], prices["close"][:, :-1])
    assert (prices["close"] != prices["open"]).mean() > 0.99


def test_prices_are_positive_and_start_at_many_levels(
    prices: dict[str, NDArray[np.float32]],
) -> None:
    assert np.isfinite(prices["high"]).all()
    assert prices["low"].min() > 0.0
    start = prices["open"][:, 0]
    assert np.percentile(start, 5) < 40.0
    assert np.percentile(start, 95) > 300.0


def test_the_same_seed_makes_the_same_windows_and_another_one_others() -> None:
    first, again, other = (price_windows(20, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not (first[0] == other[0]).all(axis=(1, 2)).any()
    assert first[1].tolist() != other[1].tolist()


def test_numpy_s_global_generator_is_neither_asked_nor_moved() -> None:
    first = price_windows(5, seed=5)[0]
    np.random.seed(99)
    expected = np.random.random(3)
    np.random.seed(99)
    assert np.array_equal(price_windows(5, seed=5)[0], first)
    assert np.array_equal(np.random.random(3), expected)


def test_always_saying_consolidation_is_right_in_three_of_five(
    labels: NDArray[np.int64],
) -> None:
    assert set(labels.tolist()) == {0, 1}
    assert 0.57 < (labels == 0).mean() < 0.65


def test_a_retracement_runs_further_than_a_consolidation(
    prices: dict[str, NDArray[np.float32]], labels: NDArray[np.int64]
) -> None:
    reach = np.log(prices["high"].max(axis=1) / prices["low"].min(axis=1))
    assert np.median(reach[labels == 1]) > 1.1 * np.median(reach[labels == 0])


def test_a_simple_rule_tells_more_than_always_saying_the_same_but_not_all(
    prices: dict[str, NDArray[np.float32]], labels: NDArray[np.int64]
) -> None:
    reach = np.log(prices["high"].max(axis=1) / prices["low"].min(axis=1))
    is_right = [((reach > bound) == labels).mean() for bound in np.linspace(0.02, 0.15, 40)]
    assert (labels == 0).mean() + 0.01 < max(is_right) < 0.90
