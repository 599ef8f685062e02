"""Retention: what is kept of what was saved, why, and that the order of listing has no say."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.train.retention import Saved, kept

NAN, INF = math.nan, math.inf
VALUES = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 2.0]))
SAVED = st.dictionaries(st.integers(1, 30), VALUES, max_size=12)
MODES = st.sampled_from(["min", "max"])
COUNTS = st.integers(0, 5)


def saved(*values: float | None) -> list[Saved]:
    """Checkpoints of the epochs from 1 on."""
    return [Saved(epoch=epoch, value=value) for epoch, value in enumerate(values, start=1)]


def of(values: dict[int, float | None]) -> list[Saved]:
    return [Saved(epoch=epoch, value=value) for epoch, value in values.items()]


@pytest.mark.parametrize(
    ("values", "asked", "expected"),
    [
        ([3.0, 1.0, 2.0], {"last": 1, "best": 1}, {2: ("best",), 3: ("last",)}),
        ([3.0, 2.0, 1.0], {"last": 1, "best": 1}, {3: ("last", "best")}),
        ([3.0, 1.0, 2.0], {"last": 0, "best": 0}, {}),
        ([3.0, 1.0, 2.0], {"last": 2, "best": 0}, {2: ("last",), 3: ("last",)}),
        ([3.0, 1.0], {"last": 3, "best": 0}, {1: ("last",), 2: ("last",)}),
        ([1.0], {"last": 9, "best": 9}, {1: ("last", "best")}),
        ([3.0, 1.0, 2.0], {"last": 0, "best": 2}, {2: ("best",), 3: ("best",)}),
        ([3.0, 1.0, 2.0], {"last": 0, "best": 1, "mode": "max"}, {1: ("best",)}),
        ([1.0, 2.0, 1.0], {"last": 0, "best": 1}, {1: ("co-best",), 3: ("co-best",)}),
        ([1.0, 2.0, 2.0], {"last": 0, "best": 2}, {1: ("best",), 2: ("co-best",), 3: ("co-best",)}),
        ([NAN, None, 5.0], {"last": 0, "best": 3}, {3: ("best",)}),
        ([NAN, None], {"last": 1, "best": 1}, {2: ("last",)}),
        ([INF, -INF, 5.0], {"last": 0, "best": 2}, {2: ("best",), 3: ("best",)}),
        ([INF], {"last": 0, "best": 1}, {1: ("best",)}),
        ([3.0, 1.0], {"last": 0, "best": 0, "milestones": (1, 7)}, {1: ("milestone",)}),
        ([1.0], {"last": 1, "best": 1, "milestones": (1,)}, {1: ("last", "best", "milestone")}),
        ([], {"last": 1, "best": 1}, {}),
    ],
)
def test_what_is_kept_and_why(
    values: list[float | None], asked: dict[str, Any], expected: dict[int, tuple[str, ...]]
) -> None:
    assert kept(saved(*values), **{"mode": "min", **asked}) == expected


@given(values=SAVED, last=COUNTS, best=COUNTS, mode=MODES, data=st.data())
def test_the_order_of_listing_has_no_say(
    values: dict[int, float | None], last: int, best: int, mode: Any, data: st.DataObject
) -> None:
    listed = of(values)
    shuffled = data.draw(st.permutations(listed))
    decided = kept(listed, last=last, best=best, mode=mode)
    assert kept(shuffled, last=last, best=best, mode=mode) == decided


@given(values=SAVED, last=COUNTS, best=COUNTS, mode=MODES)
def test_the_newest_are_kept_and_nothing_better_than_what_is_kept_as_best_is_dropped(
    values: dict[int, float | None], last: int, best: int, mode: Any
) -> None:
    decided = kept(of(values), last=last, best=best, mode=mode)
    assert {e for e, why in decided.items() if "last" in why} == set(sorted(values)[::-1][:last])
    scored = {e: v for e, v in values.items() if v is not None and not math.isnan(v)}
    tops = {e for e, why in decided.items() if {"best", "co-best"} & set(why)}
    assert len(tops) >= min(best, len(scored))
    sign = 1.0 if mode == "min" else -1.0
    for epoch in scored.keys() - tops if tops else ():
        assert all(sign * scored[top] < sign * scored[epoch] for top in tops)


@given(values=SAVED, last=COUNTS, best=COUNTS, mode=MODES)
def test_deciding_again_about_what_was_kept_drops_nothing(
    values: dict[int, float | None], last: int, best: int, mode: Any
) -> None:
    decided = kept(of(values), last=last, best=best, mode=mode)
    rest = of({epoch: values[epoch] for epoch in decided})
    assert kept(rest, last=last, best=best, mode=mode) == decided


@given(values=st.lists(VALUES, max_size=12), last=COUNTS, best=COUNTS, mode=MODES)
def test_letting_go_after_each_save_ends_with_what_deciding_once_would_keep(
    values: list[float | None], last: int, best: int, mode: Any
) -> None:
    there: list[Saved] = []
    for one in saved(*values):
        there.append(one)
        decided = kept(there, last=last, best=best, mode=mode)
        there = [other for other in there if other.epoch in decided]
    assert {one.epoch for one in there} == set(
        kept(saved(*values), last=last, best=best, mode=mode)
    )
