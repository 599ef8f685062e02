"""Named streams of one seed."""

import pytest

from phasetune.stage.seeds import derived_seed


@pytest.mark.parametrize(
    ("seed", "stream", "expected"),
    [
        (0, (), 1609362278),
        (1337, ("folds",), 3260083698),
        (1337, ("stage", "pretrain", 0), 126685208),
        (2**63 - 1, ("stage", "pretrain", 999), 3449607317),
    ],
)
def test_a_derived_seed_is_what_it_always_was(
    seed: int, stream: tuple[str | int, ...], expected: int
) -> None:
    assert derived_seed(seed, *stream) == expected


def test_derived_seeds_differ_by_stream_and_fit_numpy() -> None:
    streams: list[tuple[str | int, ...]] = [
        (stage, index) for stage in ("a", "b") for index in range(500)
    ]
    seeds = {derived_seed(1, *stream) for stream in [*streams, ("ab",), ("a", "b"), ("a", "", "b")]}
    assert len(seeds) == len(streams) + 3
    assert min(seeds) >= 0
    assert max(seeds) < 2**32
