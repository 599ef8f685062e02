"""Which checkpoints go when they take too much room: a pure policy over rows of the inventory.

In this order, until the rest fits: resume checkpoints of runs that are done; those of older
attempts; kept ones that were not the best of their run, oldest epoch first; other kept ones; and
trunks.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from phasetune.store.inventory import CheckpointKind, CheckpointRow
from phasetune.store.space import DiskSpace

LEAST_FREE_SHARE = 0.1
LEAST_NEED_BYTES = 256 * 1024**2
_BEST = frozenset({"best", "co-best"})


class _Turn(IntEnum):
    DONE = 0
    OLDER = 1
    KEPT = 2
    BEST = 3
    TRUNK = 4


def counted(rows: Iterable[CheckpointRow]) -> list[CheckpointRow]:
    """What a budget counts: all but the final models' runs, which are no checkpoints."""
    return [row for row in rows if row.kind is not CheckpointKind.MODEL]


def protected_paths(rows: Iterable[CheckpointRow], *, study: str) -> frozenset[Path]:
    """What no budget removes: what an unfinished run goes on from, what a winner came from, and
    what another study refers to.
    """
    return frozenset(
        row.path for row in rows if row.is_needed or row.is_winning or set(row.studies) - {study}
    )


def to_remove(
    rows: Sequence[CheckpointRow], *, max_bytes: int, protected: Collection[Path]
) -> list[CheckpointRow]:
    """What goes, in order, so that the rest takes `max_bytes` at most, or is protected."""
    candidates = sorted((row for row in rows if row.path not in protected), key=_turn)
    excess = sum(row.size_bytes for row in rows) - max_bytes
    going = []
    for row in candidates:
        if excess <= 0:
            break
        going.append(row)
        excess -= row.size_bytes
    return going


def _turn(row: CheckpointRow) -> tuple[_Turn, int, str]:
    return _class(row), row.epoch or 0, str(row.path)


def _class(row: CheckpointRow) -> _Turn:
    if row.kind is CheckpointKind.RESUME:
        return _Turn.DONE if row.is_done else _Turn.OLDER
    if row.kind is CheckpointKind.TRUNK:
        return _Turn.TRUNK
    return _Turn.BEST if _BEST & set(row.why) else _Turn.KEPT


def is_scarce(space: DiskSpace) -> bool:
    """Whether less than a tenth of a disk is free."""
    return space.free < LEAST_FREE_SHARE * space.total


def needed_bytes(sizes: Iterable[int], *, in_flight: int) -> int:
    """What the next wave may take: each run in flight twice the largest that a run left so far."""
    return max(LEAST_NEED_BYTES, max(sizes, default=0) * in_flight * 2)
