"""Trunks and branch points: what is shared by runs of several horizons, and how it is counted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.plan.key import Identity
from phasetune.plan.milestones import (
    StepCount,
    costliest_step,
    families,
    planned_run,
    steps_alone,
    steps_together,
)
from phasetune.plan.trial import Run
from phasetune.stage.contract import Milestone, Stage
from phasetune.study.schema import Numerics


class Params(BaseModel):
    epochs: int = 10
    width: int = 8
    tail: int = 2
    fraction: float = 0.0
    horizon: str = "epochs"
    why: str = ""

    def milestone(self) -> Milestone:
        tail = self.tail + round(self.fraction * self.epochs)
        branch = None if self.why else self.epochs - tail
        return Milestone(
            horizon=self.horizon, branch_step=branch, why_alone=self.why, cost=float(self.width)
        )


STAGE = Stage(
    name="grow", params=Params, function="toy:grow", reads=("train",), milestone=Params.milestone
)
IDENTITY = Identity(code="c0de", numerics=Numerics(), fingerprints={"train": "t1"})


def run(
    *, identity: Identity = IDENTITY, seed: int = 1, stage: Stage = STAGE, **params: Any
) -> Run:
    model = Params(**params)
    settings = {f"grow.{name}": value for name, value in model.model_dump().items()}
    return planned_run(identity, stage, model, settings, seed=seed, fold=None, parent="p")


def test_runs_that_differ_in_their_horizon_alone_have_one_trunk() -> None:
    short, long = run(epochs=5), run(epochs=10)
    assert short.key != long.key
    assert short.trunk is not None
    assert long.trunk is not None
    assert (short.trunk.id, short.trunk.step) == (long.trunk.id, 3)
    assert (short.trunk.key, long.trunk.key) == (
        f"{short.trunk.id}-000003",
        f"{short.trunk.id}-000008",
    )
    assert short.family == long.family == short.trunk.id


@pytest.mark.parametrize(
    "other",
    [
        run(width=16),
        run(seed=2),
        run(identity=replace(IDENTITY, code="other")),
        run(identity=replace(IDENTITY, fingerprints={"train": "t2"})),
        run(stage=replace(STAGE, function="toy:other")),
    ],
    ids=["a parameter", "the seed", "the code", "the data", "the function"],
)
def test_whatever_else_differs_makes_another_trunk(other: Run) -> None:
    one = run()
    assert one.trunk is not None
    assert other.trunk is not None
    assert one.trunk.id != other.trunk.id


@pytest.mark.parametrize(
    "found",
    [
        run(why="a cosine knows its end"),
        run(epochs=2),
        run(identity=replace(IDENTITY, alone="this-trial")),
        run(stage=replace(STAGE, milestone=None)),
    ],
    ids=["depends on its end", "branches off at once", "shares nothing", "no milestones"],
)
def test_a_run_without_a_common_way_stands_alone(found: Run) -> None:
    assert found.trunk is None
    assert found.family == found.key


def test_a_trial_alone_has_keys_of_its_own() -> None:
    keys = {run(identity=replace(IDENTITY, alone=name)).key for name in (None, "a", "b")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"horizon": "steps"}, "must be a whole number among its parameters, but 'steps' is None"),
        ({"tail": -1}, "must branch off between 0 and 10, but does at 11"),
        ({"tail": 11}, "must branch off between 0 and 10, but does at -1"),
    ],
)
def test_a_milestone_that_can_not_be_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        run(**params)


def test_a_family_goes_from_the_first_branch_point_to_the_last() -> None:
    runs = [run(epochs=8), run(epochs=5, width=16), run(epochs=4), run(epochs=12)]
    horizons = [[member.steps for member in family] for family in families(runs)]
    assert horizons == [[4, 8, 12], [5]]


@pytest.mark.parametrize(
    ("runs", "together"),
    [
        ([run(epochs=n, tail=0, fraction=0.2) for n in (50, 75, 100)], 125),
        ([run(epochs=n, tail=0) for n in (50, 75, 100)], 100),
        ([run(epochs=n, why="its end") for n in (50, 75, 100)], 225),
        ([run(epochs=10), run(epochs=10, width=16)], 20),
        ([], 0),
    ],
    ids=["decaying", "constant", "cosine", "two trunks", "nothing"],
)
def test_steps_are_counted_once_where_they_are_shared(runs: list[Run], together: int) -> None:
    assert steps_together(runs, costliest=0.0).steps == together


@pytest.mark.parametrize(
    ("stored", "steps"), [([], 125), ([40], 85), ([40, 60, 80], 45), ([30], 95), ([90], 125)]
)
def test_what_is_stored_of_a_trunk_need_not_be_taken(stored: list[int], steps: int) -> None:
    runs = [run(epochs=n, tail=0, fraction=0.2) for n in (50, 75, 100)]
    assert runs[0].trunk is not None
    trunk = runs[0].trunk.id

    def steps_of(stage: str, of: str) -> Sequence[int]:
        return stored if (stage, of) == ("grow", trunk) else ()

    assert steps_together(runs, costliest=0.0, stored=steps_of).steps == steps


def test_steps_weigh_what_they_cost_beside_the_costliest() -> None:
    runs = [run(epochs=10, width=4), run(epochs=20, width=16)]
    most = costliest_step(runs)
    assert steps_alone(runs, costliest=most) == StepCount(steps=30, cost=10 * 0.25 + 20)
    assert steps_together(runs, costliest=most) == StepCount(steps=30, cost=10 * 0.25 + 20)


@given(st.lists(st.integers(3, 60), min_size=1, max_size=6, unique=True))
def test_together_never_costs_more_than_alone(epochs: list[int]) -> None:
    runs = [run(epochs=n) for n in epochs]
    together = steps_together(runs, costliest=0.0).steps
    assert max(epochs) <= together <= steps_alone(runs, costliest=0.0).steps
    assert together == max(epochs) - 2 + 2 * len(epochs)
