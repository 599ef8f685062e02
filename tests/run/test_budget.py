"""Which checkpoints go, in which order, and which never do."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.run.budget import counted, is_scarce, needed_bytes, protected_paths, to_remove
from phasetune.store.inventory import CheckpointKind, CheckpointRow
from phasetune.store.space import DiskSpace

MIB = 1024**2


def row(name: str, kind: str = "kept", **changes: Any) -> CheckpointRow:
    content: dict[str, Any] = {
        "path": Path(name),
        "kind": CheckpointKind(kind),
        "studies": ("s",),
        "stage": "fit",
        "key": "k",
        "run": "fit t",
        "epoch": 1,
        "metrics": {},
        "size_bytes": 10,
        "why": ("last",),
    }
    return CheckpointRow(**{**content, **changes})


ROWS = [
    row("trunk", "trunk", epoch=40, why=("trunk of 2 runs",)),
    row("best of epoch 1", why=("best",)),
    row("last of epoch 9", epoch=9),
    row("milestone of epoch 3", epoch=3, why=("milestone",)),
    row("co-best of epoch 2", epoch=2, why=("last", "co-best")),
    row("older attempt", "resume"),
    row("done", "resume", is_done=True),
]
IN_ORDER = [
    "done",
    "older attempt",
    "milestone of epoch 3",
    "last of epoch 9",
    "best of epoch 1",
    "co-best of epoch 2",
    "trunk",
]


@pytest.mark.parametrize(
    ("max_bytes", "gone"),
    [(70, 0), (69, 1), (60, 1), (51, 2), (20, 5), (1, 7), (0, 7)],
)
def test_they_go_in_this_order_until_the_rest_fits(max_bytes: int, gone: int) -> None:
    going = to_remove(ROWS, max_bytes=max_bytes, protected=frozenset())
    assert [str(found.path) for found in going] == IN_ORDER[:gone]


@pytest.mark.parametrize(
    ("found", "stays"),
    [
        (row("a"), False),
        (row("a", is_winning=True), True),
        (row("a", "trunk", is_winning=True), True),
        (row("a", "trunk", is_needed=True), True),
        (row("a", "resume", is_needed=True), True),
        (row("a", "resume", is_done=True), False),
        (row("a", studies=("s", "other")), True),
        (row("a", studies=("other",)), True),
    ],
)
def test_what_is_needed_winning_or_of_another_study_stays(
    found: CheckpointRow, stays: bool
) -> None:
    protected = protected_paths([found], study="s")
    assert (to_remove([found], max_bytes=0, protected=protected) == []) == stays


def test_final_models_are_not_counted() -> None:
    rows = [row("a"), row("model", "model")]
    assert [str(found.path) for found in counted(rows)] == ["a"]


rows_of_any_kind = st.lists(
    st.builds(
        row,
        st.uuids().map(str),
        st.sampled_from(["resume", "kept", "trunk"]),
        size_bytes=st.integers(0, 50),
        epoch=st.none() | st.integers(0, 9),
        why=st.sampled_from([("best",), ("last",), ("co-best", "last")]),
        is_winning=st.booleans(),
        is_needed=st.booleans(),
        is_done=st.booleans(),
    ),
    max_size=8,
)


@given(rows=rows_of_any_kind, max_bytes=st.integers(0, 300), random=st.randoms())
def test_no_more_goes_than_must_nothing_protected_and_no_order_matters(
    rows: list[CheckpointRow], max_bytes: int, random: Any
) -> None:
    protected = protected_paths(rows, study="s")
    going = to_remove(rows, max_bytes=max_bytes, protected=protected)
    assert not protected & {found.path for found in going}
    left = sum(found.size_bytes for found in rows if found not in going)
    stays = sum(found.size_bytes for found in rows if found.path in protected)
    assert left <= max(max_bytes, stays)
    assert not going or left + going[-1].size_bytes > max_bytes
    shuffled = random.sample(rows, len(rows))
    assert to_remove(shuffled, max_bytes=max_bytes, protected=protected) == going


@pytest.mark.parametrize(("free", "scarce"), [(0, True), (99, True), (100, False), (1000, False)])
def test_less_than_a_tenth_of_a_disk_is_scarce(free: int, scarce: bool) -> None:
    assert is_scarce(DiskSpace(total=1000, free=free)) is scarce


@pytest.mark.parametrize(
    ("sizes", "in_flight", "need"),
    [
        ([], 4, 256 * MIB),
        ([10 * MIB, MIB], 4, 256 * MIB),
        ([MIB, 100 * MIB], 4, 800 * MIB),
    ],
)
def test_a_wave_needs_twice_the_largest_for_each_run(
    sizes: list[int], in_flight: int, need: int
) -> None:
    assert needed_bytes(sizes, in_flight=in_flight) == need
