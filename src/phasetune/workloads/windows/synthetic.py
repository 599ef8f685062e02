"""Price windows made from a seed: consolidation (class 0) or retracement (class 1).

A consolidation wanders around a level. A retracement runs away from it and comes part of the way
back. Both are drawn under noise of their own size, moves differ in strength, and some windows carry
the other label, as charts labelled by hand do. With plenty of them about three in four can be told;
always saying "consolidation" is right in three of five, so that is what a model that learns little
falls back to.
"""

import numpy as np
from numpy.typing import NDArray

from phasetune.train.arrays import refuse_too_large

NUM_BARS = 105
NUM_CHANNELS = 4
CHANNELS = ("open", "high", "low", "close")

CONSOLIDATION, RETRACEMENT = 0, 1
RETRACEMENT_SHARE = 0.34
_MISLABELLED = 0.15
_TICKS_PER_BAR = 4
_BYTES_PER_WINDOW = 6 * 8 * NUM_BARS * _TICKS_PER_BAR  # prices and what they are made of
_TICK_NOISE = 0.0012  # of log price
_MEAN_REVERSION = 0.008  # per tick, of a consolidation
_WEAKEST_MOVE, _STRONGEST_MOVE = 0.004, 0.045  # of log price


def price_windows(count: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`count` windows, shape [count, 105, 4], open-high-low-close, and their labels, [count].

    Raises:
        StageError: they need more memory than this machine has.
    """
    refuse_too_large(count * _BYTES_PER_WINDOW, f"making {count:,} windows")
    rng = np.random.default_rng(seed)
    kinds = (rng.random(count) < RETRACEMENT_SHARE).astype(np.int64)
    noise = rng.normal(0.0, _TICK_NOISE, (count, NUM_BARS * _TICKS_PER_BAR))
    wander = _wandered(noise, np.where(kinds == CONSOLIDATION, _MEAN_REVERSION, 0.0))
    moves = _moves(rng, count) * (kinds == RETRACEMENT)[:, None]
    start = rng.uniform(np.log(20.0), np.log(500.0), (count, 1))
    bars = _bars(np.exp(start + wander + moves))
    flipped = rng.random(count) < _MISLABELLED
    return bars, np.where(flipped, 1 - kinds, kinds)


def _wandered(noise: NDArray[np.float64], reversion: NDArray[np.float64]) -> NDArray[np.float64]:
    """A random walk that is drawn back to where it began, tick by tick."""
    walk = np.empty_like(noise)
    level = np.zeros(len(noise))
    for tick in range(noise.shape[1]):
        level = level * (1.0 - reversion) + noise[:, tick]
        walk[:, tick] = level
    return walk


def _moves(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Away until a turning point, then part of the way back; up or down; shape [count, ticks]."""
    begin = rng.uniform(0.05, 0.35, (count, 1))
    turn = begin + rng.uniform(0.15, 0.35, (count, 1))
    end = turn + rng.uniform(0.10, 0.30, (count, 1))
    size = rng.uniform(_WEAKEST_MOVE, _STRONGEST_MOVE, (count, 1)) * rng.choice([-1, 1], (count, 1))
    back = rng.uniform(0.3, 0.7, (count, 1))
    at = np.linspace(0.0, 1.0, NUM_BARS * _TICKS_PER_BAR)[None, :]
    away = np.clip((at - begin) / (turn - begin), 0.0, 1.0)
    returned = np.clip((at - turn) / (end - turn), 0.0, 1.0)
    return np.asarray(size * (away - back * returned))


def _bars(prices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Open, high, low and close of each bar; a bar opens where the one before closed."""
    ticks = prices.reshape(len(prices), NUM_BARS, _TICKS_PER_BAR)
    close = ticks[:, :, -1]
    opened = np.concatenate([ticks[:, :1, 0], close[:, :-1]], axis=1)
    high = np.maximum(ticks.max(axis=2), opened)
    low = np.minimum(ticks.min(axis=2), opened)
    return np.stack([opened, high, low, close], axis=2).astype(np.float32)
