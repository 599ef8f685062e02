"""Schedules: their exact values, their bounds, and which of them know where the end is."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.train import schedules
from phasetune.train.schedules import Plateau, Schedule
from phasetune.train.settings import Training

STEPS = st.integers(0, 200)
LENGTHS = st.integers(0, 100)
FACTORS = st.floats(0.01, 1.0)
SQRT_HALF = math.sqrt(0.5)


def rates(schedule: Callable[..., float], num_steps: int, **settings: Any) -> list[float]:
    return [schedule(step, **settings) for step in range(num_steps)]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("constant", {"warmup": 0}, [1.0, 1.0, 1.0]),
        ("constant", {"warmup": 4}, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]),
        ("linear", {"warmup": 0, "total": 4}, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        ("linear", {"warmup": 2, "total": 6}, [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]),
        ("linear", {"warmup": 9, "total": 3}, [1 / 9, 2 / 9, 3 / 9, 0.0]),
        ("linear", {"warmup": 3, "total": 3}, [1 / 3, 2 / 3, 1.0, 0.0]),
        ("linear", {"warmup": 0, "total": 0}, [0.0, 0.0]),
        ("cosine", {"warmup": 0, "total": 2}, [1.0, 0.5, 0.0]),
        ("cosine", {"warmup": 1, "total": 5}, [1.0, 1.0, (1 + SQRT_HALF) / 2, 0.5]),
        ("cosine", {"warmup": 9, "total": 2}, [1 / 9, 2 / 9, 0.0]),
        ("stepwise", {"warmup": 0, "every": 2, "factor": 0.5}, [1.0, 1.0, 0.5, 0.5, 0.25]),
        ("stepwise", {"warmup": 3, "every": 2, "factor": 0.5}, [1 / 3, 2 / 3, 0.5, 0.5, 0.25]),
        (
            "warmup_stable_decay",
            {"warmup": 2, "total": 8, "decay": 4},
            [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 1 - SQRT_HALF, 1 - math.sqrt(0.75), 0.0, 0.0],
        ),
        ("warmup_stable_decay", {"warmup": 0, "total": 4, "decay": 4}, [1.0, 0.5, 1 - SQRT_HALF]),
        ("warmup_stable_decay", {"warmup": 0, "total": 2, "decay": 0}, [1.0, 1.0, 1.0]),
        ("warmup_stable_decay", {"warmup": 0, "total": 0, "decay": 0}, [1.0]),
    ],
)
def test_each_schedule_by_its_values(
    name: str, settings: dict[str, Any], expected: list[float]
) -> None:
    found = rates(getattr(schedules, name), len(expected), **settings)
    assert found == pytest.approx(expected, abs=1e-15)


@given(step=STEPS, warmup=LENGTHS, total=LENGTHS, share=st.floats(0.0, 1.0), factor=FACTORS)
def test_no_rate_is_negative_or_above_the_base_rate(
    step: int, warmup: int, total: int, share: float, factor: float
) -> None:
    decay = round(share * total)
    found = [
        schedules.constant(step, warmup=warmup),
        schedules.linear(step, warmup=warmup, total=total),
        schedules.cosine(step, warmup=warmup, total=total),
        schedules.stepwise(step, warmup=warmup, every=total + 1, factor=factor),
        schedules.warmup_stable_decay(step, warmup=warmup, total=total, decay=decay),
    ]
    assert all(0.0 <= rate <= 1.0 for rate in found)


@given(warmup=LENGTHS, decay=LENGTHS, before=LENGTHS, more=LENGTHS, longer=LENGTHS)
def test_the_stable_part_does_not_know_the_end(
    warmup: int, decay: int, before: int, more: int, longer: int
) -> None:
    branch = before + 1
    total = branch + decay
    other = {"total": total + more, "decay": decay + min(more, longer)}
    for step in range(branch):
        rate = schedules.warmup_stable_decay(step, warmup=warmup, total=total, decay=decay)
        assert rate == schedules.constant(step, warmup=warmup)
        assert rate == schedules.warmup_stable_decay(step, warmup=warmup, **other)


@given(warmup=LENGTHS, total=st.integers(1, 100), share=st.floats(0.0, 1.0))
def test_a_decay_only_falls(warmup: int, total: int, share: float) -> None:
    decay = round(share * total)
    for name, settings in [
        ("linear", {"total": total}),
        ("cosine", {"total": total}),
        ("warmup_stable_decay", {"total": total, "decay": decay}),
    ]:
        found = rates(getattr(schedules, name), total + 2, warmup=warmup, **settings)
        falling = found[warmup:]
        assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(
    ("changes", "step", "expected"),
    [
        ({"schedule": "constant"}, 99, 1.0),
        ({"schedule": "linear"}, 50, 0.5),
        ({"schedule": "cosine"}, 50, 0.5),
        ({"schedule": "step", "step_epochs": 2, "step_factor": 0.1}, 19, 1.0),
        ({"schedule": "step", "step_epochs": 2, "step_factor": 0.1}, 20, 0.1),
        ({"schedule": "warmup_stable_decay", "decay_fraction": 0.4}, 60, 1.0),
        ({"schedule": "warmup_stable_decay", "decay_fraction": 0.4}, 70, 0.5),
        ({"schedule": "plateau"}, 99, 1.0),
        ({"schedule": "constant", "warmup_steps": 4}, 1, 0.5),
        ({"schedule": "plateau", "warmup_steps": 4}, 1, 0.5),
    ],
)
def test_a_schedule_counts_parameters_in_epochs(
    changes: dict[str, Any], step: int, expected: float
) -> None:
    schedule = Schedule(Training(epochs=10, **changes), steps_per_epoch=10)
    assert schedule.factor(step) == pytest.approx(expected)


@given(name=st.sampled_from(["constant", "step", "plateau", "warmup_stable_decay"]), step=STEPS)
def test_what_can_share_a_trunk_has_its_rates_in_common_up_to_the_branch(
    name: str, step: int
) -> None:
    short, long = (Training(epochs=epochs, schedule=name) for epochs in (10, 25))
    milestone = short.milestone()
    assert milestone is not None
    assert milestone.branch_step is not None
    step = min(step, 7 * milestone.branch_step - 1)
    rate = Schedule(short, steps_per_epoch=7).factor(step)
    assert rate == Schedule(long, steps_per_epoch=7).factor(step)


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("min", [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]),
        ("min", [1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.5, 0.5, 0.25]),
        ("min", [1.0, 2.0, 0.5, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 0.5]),
        ("min", [1.0, 0.95, 0.95], [1.0, 1.0, 0.5]),
        ("min", [math.nan, math.nan, 1.0, 2.0], [1.0, 0.5, 0.5, 0.5]),
        ("min", [1.0, math.nan, math.inf], [1.0, 1.0, 0.5]),
        ("max", [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]),
        ("max", [3.0, 2.0, 1.0], [1.0, 1.0, 0.5]),
    ],
)
def test_a_plateau_cuts_the_rate_when_nothing_got_better_for_long_enough(
    mode: Any, values: list[float], expected: list[float]
) -> None:
    plateau = Plateau(factor=0.5, patience=2, min_delta=0.1, mode=mode)
    found = []
    for value in values:
        plateau.see(value)
        found.append(plateau.rate)
    assert found == expected


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30),
    cut=st.integers(0, 30),
)
def test_a_plateau_goes_on_where_it_was_cut(values: list[float], cut: int) -> None:
    training = Training(schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    whole = Schedule(training, steps_per_epoch=1)
    first = Schedule(training, steps_per_epoch=1)
    for value in values:
        whole.see(value)
    for value in values[:cut]:
        first.see(value)
    second = Schedule(training, steps_per_epoch=1)
    second.load_state_dict(first.state_dict())
    for value in values[cut:]:
        second.see(value)
    assert second.factor(5) == whole.factor(5)
    assert all(isinstance(part, float | int) for part in second.state_dict().values())


def test_only_plateau_looks_at_what_is_watched() -> None:
    schedule = Schedule(Training(schedule="constant", plateau_patience=1), steps_per_epoch=1)
    for _ in range(5):
        schedule.see(1.0)
    assert schedule.factor(5) == 1.0
