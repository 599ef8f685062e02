"""Parameters of a fit loop: what is refused, and where runs of different length are one."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from phasetune.train.settings import Training

WSD = {"schedule": "warmup_stable_decay"}
SHARING = ("constant", "step", "plateau", "warmup_stable_decay")


def branch_of(**changes: Any) -> int:
    milestone = Training(**changes).milestone()
    assert milestone is not None
    assert (milestone.horizon, milestone.why_alone) == ("epochs", "")
    assert milestone.branch_step is not None
    return milestone.branch_step


@pytest.mark.parametrize(
    ("changes", "branch"),
    [
        ({**WSD, "epochs": 50}, 40),
        ({**WSD, "epochs": 75}, 60),
        ({**WSD, "epochs": 100}, 80),
        ({**WSD, "epochs": 100, "decay_fraction": 0.25}, 75),
        ({**WSD, "epochs": 8, "decay_fraction": 0.3125}, 5),
        ({**WSD, "epochs": 2}, 1),
        ({**WSD, "epochs": 1}, 0),
        ({**WSD, "epochs": 9, "decay_fraction": 1.0}, 0),
        ({**WSD, "epochs": 50, "validate_every_n_epochs": 3}, 40),
        ({"epochs": 50}, 50),
        ({"epochs": 1, "schedule": "step"}, 1),
        ({"epochs": 7, "schedule": "plateau"}, 7),
        ({"epochs": 9, "validate_every_n_epochs": 3}, 9),
        ({"epochs": 10, "validate_every_n_epochs": 3}, 9),
        ({"epochs": 11, "validate_every_n_epochs": 3, "schedule": "step"}, 9),
        ({"epochs": 5, "validate_every_n_epochs": 5, "schedule": "plateau"}, 5),
    ],
    ids=str,
)
def test_a_run_branches_off_a_longer_one(changes: dict[str, Any], branch: int) -> None:
    assert branch_of(**changes) == branch


@given(
    schedule=st.sampled_from(SHARING),
    every=st.integers(1, 9),
    decay_fraction=st.floats(0.01, 1.0),
    epochs=st.tuples(st.integers(0, 60), st.integers(1, 60)),
)
def test_up_to_the_branch_both_validate_the_same_epochs(
    schedule: str, every: int, decay_fraction: float, epochs: tuple[int, int]
) -> None:
    """A run's own last epoch is always validated, and a longer one's epoch there is not."""
    short = every + epochs[0]
    branch = branch_of(
        epochs=short,
        schedule=schedule,
        validate_every_n_epochs=every,
        decay_fraction=decay_fraction,
    )
    validated = [
        {epoch for epoch in range(1, branch + 1) if epoch == last or epoch % every == 0}
        for last in (short, short + epochs[1])
    ]
    assert validated[0] == validated[1]
    assert 0 <= branch <= short


@given(short=st.integers(1, 200), more=st.integers(0, 200), share=st.floats(0.01, 1.0))
def test_each_run_decays_and_a_longer_one_no_sooner(short: int, more: int, share: float) -> None:
    branches = [
        branch_of(**WSD, epochs=epochs, decay_fraction=share) for epochs in (short, short + more)
    ]
    assert 0 <= branches[0] <= short - 1
    assert branches[0] <= branches[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"schedule": "linear"},
            "the rate of schedule: linear depends on the end from the start",
        ),
        (
            {"schedule": "cosine"},
            "the rate of schedule: cosine depends on the end from the start",
        ),
        (
            {"time_limit_minutes": 30.0},
            "with time_limit_minutes the clock has a say in each epoch",
        ),
        (
            {**WSD, "time_limit_minutes": 30.0},
            "with time_limit_minutes the clock has a say in each epoch",
        ),
    ],
    ids=str,
)
def test_a_run_that_depends_on_more_says_why_it_is_alone(changes: dict[str, Any], why: str) -> None:
    milestone = Training(**changes).milestone()
    assert milestone is not None
    assert (milestone.branch_step, milestone.why_alone) == (None, why)


def test_an_epoch_costs_what_the_stage_says() -> None:
    milestone = Training(epochs=3).milestone(cost=7.5)
    assert milestone is not None
    assert milestone.cost == 7.5


def test_what_is_not_trained_has_no_milestone() -> None:
    assert Training(epochs=0).milestone() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": -1}, "greater than or equal to 0"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"accumulate": 0}, "greater than or equal to 1"),
        ({"learning_rate": 0.0}, "greater than 0"),
        ({"learning_rate": float("inf")}, "finite number"),
        ({"weight_decay": -1.0}, "greater than or equal to 0"),
        ({"momentum": 1.0}, "less than 1"),
        ({"clip_norm": 0.0}, "greater than 0"),
        ({"schedule": "poly"}, "'constant', 'linear', 'cosine', 'step', 'plateau' or"),
        ({"optimizer": "lion"}, "'adamw', 'adam' or 'sgd'"),
        ({"decay_fraction": 0.0}, "greater than 0"),
        ({"decay_fraction": 1.1}, "less than or equal to 1"),
        ({"plateau_factor": 1.0}, "less than 1"),
        ({"patience": 0}, "greater than or equal to 1"),
        ({"min_delta": float("nan")}, "finite number"),
        ({"time_limit_minutes": 0.0}, "greater than 0"),
        ({"keep_last": -1}, "greater than or equal to 0"),
        ({"watch": ""}, "at least 1 character"),
        (
            {"epochs": 4, "validate_every_n_epochs": 5},
            r"validate_every_n_epochs must be at most epochs \(4\), but is 5",
        ),
        (
            {"epochs": 0, "validate_every_n_epochs": 2},
            r"validate_every_n_epochs must be at most epochs \(0\), but is 2",
        ),
        ({"keep_epochs": (5,)}, "keep_epochs needs save_every_n_epochs"),
        (
            {"save_every_n_epochs": 4, "keep_epochs": (4, 6)},
            r"keep_epochs must be multiples of save_every_n_epochs \(4\), but has \[6\]",
        ),
        (
            {"epochs": 4, "save_every_n_epochs": 5},
            r"save_every_n_epochs must be at most epochs \(4\), but is 5",
        ),
        ({"epoch": 5}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_what_can_t_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Training(**changes)


def test_planning_with_them_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'ray', 'mlflow', 'pandas', 'sklearn'}"
    code = f"import sys, phasetune.train.settings; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
