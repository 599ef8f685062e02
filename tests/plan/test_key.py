"""Keys are for ever: a change of their definition orphans every stored artifact."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.plan.key import Identity
from phasetune.stage.contract import Fold, Milestone, Stage
from phasetune.study.schema import Numerics


class Params(BaseModel):
    size: int = 8


STAGE = Stage(name="finetune", params=Params, function="toy:finetune", reads=("train",))
IDENTITY = Identity(
    code="c0de",
    numerics=Numerics(threads=2, precision="fp32"),
    fingerprints={"unlabeled": "u1", "train": "t1", "test": "s1"},
)
RUN: dict[str, Any] = {
    "stage": STAGE,
    "params": {"finetune.size": 8, "finetune.sigma": 0.12},
    "seed": 1337,
    "fold": Fold(index=1, of=5, seed=7),
    "parent": "ab" * 16,
}


def key(identity: Identity = IDENTITY, **changes: Any) -> str:
    run = {**RUN, **changes}
    return identity.key(run.pop("stage"), run.pop("params"), **run)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "5f4d2b8d7eed226348e21117bd70a8ec"),
        (
            {"fold": None, "parent": None, "seed": 0, "params": {}},
            "9c636b24984700a7c603ba386f69a747",
        ),
        (
            {"params": {"finetune.sizes": [1, 2.5], "finetune.name": "é", "finetune.on": None}},
            "ea8edaa638d3073ed6997006df87d1bc",
        ),
    ],
)
def test_a_key_is_what_it_always_was(changes: dict[str, Any], expected: str) -> None:
    assert key(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": replace(STAGE, name="other")},
        {"stage": replace(STAGE, function="toy:other")},
        {"stage": replace(STAGE, reads=("train", "test"))},
        {"stage": replace(STAGE, reads=())},
        {"params": {"finetune.size": 8, "finetune.sigma": 0.13}},
        {"params": {"finetune.size": 8}},
        {"params": {"finetune.size": "8", "finetune.sigma": 0.12}},
        {"seed": 1338},
        {"fold": None},
        {"fold": Fold(index=2, of=5, seed=7)},
        {"fold": Fold(index=1, of=4, seed=7)},
        {"fold": Fold(index=1, of=5, seed=8)},
        {"parent": None},
        {"parent": "cd" * 16},
    ],
)
def test_a_key_changes_with_what_a_run_is_made_of(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "c0de2"},
        {"numerics": Numerics(threads=3, precision="fp32")},
        {"numerics": Numerics(threads=2, precision="bf16")},
        {"numerics": Numerics(threads=2, precision="fp32", deterministic=False)},
        {"fingerprints": {"unlabeled": "u1", "train": "t2", "test": "s1"}},
    ],
)
def test_a_key_changes_with_what_a_study_has_in_common(changes: dict[str, Any]) -> None:
    assert key(replace(IDENTITY, **changes)) != key()


@pytest.mark.parametrize(
    ("identity", "changes"),
    [
        (replace(IDENTITY, fingerprints={"train": "t1", "test": "s2", "unlabeled": "u2"}), {}),
        (replace(IDENTITY, fingerprints={"train": "t1"}), {}),
        (IDENTITY, {"params": {"finetune.sigma": 0.12, "finetune.size": 8}}),
        (
            IDENTITY,
            {"stage": replace(STAGE, milestone=lambda _: Milestone(horizon="", branch_step=1))},
        ),
    ],
)
def test_a_key_does_not_change_with_anything_else(
    identity: Identity, changes: dict[str, Any]
) -> None:
    assert key(identity, **changes) == key()


def test_two_parts_that_change_places_are_another_key() -> None:
    both = replace(STAGE, reads=("train", "test"))
    swapped = replace(IDENTITY, fingerprints={"train": "s1", "test": "t1"})
    assert key(swapped, stage=both) != key(stage=both)
    assert key(stage=replace(STAGE, reads=("test", "train"))) == key(stage=both)


def test_a_value_without_a_stable_writing_is_refused_with_its_name() -> None:
    with pytest.raises(PlanError, match=r"finetune\.params\.finetune\.size is NaN"):
        key(params={"finetune.size": float("nan")})
