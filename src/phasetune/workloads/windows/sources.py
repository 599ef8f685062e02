"""The named sources: price windows made from a seed, and scikit-learn's handwritten digits."""

from typing import TYPE_CHECKING, Any

import numpy as np

from phasetune.stage.seeds import derived_seed
from phasetune.workloads.windows.synthetic import NUM_BARS, NUM_CHANNELS, price_windows

if TYPE_CHECKING:
    from phasetune.workloads.windows.data import Data, Part

TEST_SHARE = 0.2
_NUM_UNLABELED_DIGITS = 899
_NUM_TEST_DIGITS = 360
_DIGIT_SIZE = 8


def unlabeled_shape(data: "Data") -> tuple[int, int, int]:
    """[n, time, channel] of the unlabelled windows, without making them."""
    if data.source == "digits":
        return _NUM_UNLABELED_DIGITS, _DIGIT_SIZE, _DIGIT_SIZE
    return data.num_unlabeled, NUM_BARS, NUM_CHANNELS


def synthetic(data: "Data", part: "Part") -> dict[str, tuple[Any, Any]]:
    """A part of the synthetic source, or `train` and `test`, the last fifth, together.

    Raises:
        StageError: there are more windows than this machine has memory for.
    """
    if part == "unlabeled":
        seed = derived_seed(data.seed, "unlabeled")
        return {part: (price_windows(data.num_unlabeled, seed=seed)[0], None)}
    windows, labels = price_windows(data.windows, seed=derived_seed(data.seed, "labelled"))
    first_test = round(data.windows * (1.0 - TEST_SHARE))
    rows = {"train": slice(first_test), "test": slice(first_test, None)}
    return {name: (windows[where], labels[where]) for name, where in rows.items()}


def digits() -> dict[str, tuple[Any, Any]]:
    """1,797 handwritten digits, 8 rows as 8 time steps of 8 pixels: 899 unlabelled, 538 to train
    on, 360 to test; the same rows whatever the study's seed is.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split as cut

    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, _DIGIT_SIZE, _DIGIT_SIZE).astype(np.float32)
    y = y.astype(np.int64)
    unlabeled, x, _, y = cut(x, y, train_size=_NUM_UNLABELED_DIGITS, random_state=0, stratify=y)
    x, x_test, y, y_test = cut(x, y, test_size=_NUM_TEST_DIGITS, random_state=0, stratify=y)
    return {"unlabeled": (unlabeled, None), "train": (x, y), "test": (x_test, y_test)}
