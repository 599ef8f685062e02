"""The global generators: seeded, taken down and put back, on disk too."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phasetune.train.checkpoint import read_state, write_state
from phasetune.train.generators import generators_state, restore_generators, seed_generators


def drawn(count: int = 3) -> tuple[list[float], ...]:
    """Python's, numpy's and torch's next draws, uniform and normal."""
    return (
        [random.random() for _ in range(count)],  # noqa: S311
        [random.gauss() for _ in range(count)],
        np.random.random(count).tolist(),
        np.random.normal(size=count).tolist(),
        torch.rand(count).tolist(),
        torch.randn(count).tolist(),
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_equal_seeds_draw_equally(seed: int) -> None:
    seed_generators(seed)
    first = drawn()
    drawn()
    seed_generators(seed)
    assert drawn() == first


def test_each_of_them_is_seeded() -> None:
    seed_generators(1)
    first = drawn()
    seed_generators(2)
    assert all(one != other for one, other in zip(first, drawn(), strict=True))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 700])
def test_they_go_on_from_where_they_were(count: int) -> None:
    """Normal draws come in pairs, one of which is kept: an odd number leaves it over."""
    seed_generators(5)
    drawn(count)
    state = generators_state()
    expected = drawn()
    seed_generators(6)
    restore_generators(state)
    assert drawn() == expected


def test_they_go_on_from_a_checkpoint_on_disk(tmp_path: Path) -> None:
    seed_generators(5)
    drawn(3)
    write_state(tmp_path, generators_state(), epoch=1, metrics={}, parameters={})
    expected = drawn()
    restore_generators(read_state(tmp_path))
    assert drawn() == expected


def test_what_was_taken_down_does_not_move_with_them() -> None:
    seed_generators(5)
    state: dict[str, Any] = generators_state()
    first = drawn()
    drawn(1000)
    restore_generators(state)
    assert drawn() == first
