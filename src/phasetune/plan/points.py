"""The points of a phase: the product of its axes, or the list that was given."""

import itertools
import math
from collections.abc import Sequence

from phasetune.errors import PlanError
from phasetune.stage.canonical import canonical_json
from phasetune.study.parameters import Settings
from phasetune.study.schema import Phase, Point


def count_points(phase: Phase) -> int:
    """How many trials a phase has, without making them."""
    if phase.points is not None:
        return len(phase.points)
    return math.prod(len(axis) for axis in (phase.grid or {}).values())


def points_of(phase: Phase) -> tuple[Point, ...]:
    """The product of a grid's axes, the last one fastest; or the points as they stand."""
    if phase.points is not None:
        return phase.points
    grid = phase.grid or {}
    return tuple(
        Point(params=dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
    )


def refuse_equal(phase: Phase, settings: Sequence[Settings]) -> None:
    """Refuse a setting that stands twice in a phase.

    Raises:
        PlanError: it names both points.
    """
    seen: dict[str, int] = {}
    for position, setting in enumerate(settings):
        first = seen.setdefault(canonical_json(setting), position)
        if first != position:
            raise PlanError(
                f"phases.{phase.name}: points {first} and {position} (counted from 0) are the same "
                "setting; keep one"
            )
