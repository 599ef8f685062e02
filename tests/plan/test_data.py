from collections.abc import Callable
from typing import Any

import pytest

from phasetune.plan.data import content_problems, data_state
from phasetune.plan.planner import Planner
from phasetune.study.load import LoadedStudy

MakeStudy = Callable[..., LoadedStudy]


def test_each_part_that_a_stage_reads_has_its_fingerprint(study: MakeStudy) -> None:
    state = data_state(study(data={"train": "t7"}))
    assert state.is_known
    assert state.fingerprints == {"unlabeled": "u1", "train": "t7", "test": "s1"}


def test_missing_parts_are_problems_and_the_plan_still_counts(study: MakeStudy) -> None:
    loaded = study(data={"train": "", "test": ""})
    state = data_state(loaded)
    assert not state.is_known
    assert [problem.partition(" can't be read")[0] for problem in state.problems] == [
        "data: the part 'train'",
        "data: the part 'test'",
    ]
    assert "train.npy" in state.problems[0]
    plans = Planner(loaded, state.fingerprints)
    plan = plans.phase(0, plans.base_settings())
    known = Planner(study(), data_state(study()).fingerprints)
    same = known.phase(0, known.base_settings())
    assert [t.name for t in plan.trials] == [t.name for t in same.trials]
    assert not {t.key for t in plan.trials} & {t.key for t in same.trials}


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"replicates": {"folds": 3}}, 3),
        ({}, 5),
        ({"replicates": {"folds": 3}, "objective": {"metric": "accuracy", "on": "test"}}, 3),
        ({"objective": {"metric": "accuracy", "on": "test"}}, 1),
    ],
)
def test_the_content_is_checked_for_the_parts_it_is_cut_in(
    study: MakeStudy, fields: dict[str, Any], parts: int
) -> None:
    assert content_problems(study(**fields, data={"rarest": parts})) == []
    assert content_problems(study(**fields, data={"rarest": parts - 1})) == [
        f"data: the rarest class has {parts - 1} rows, too few for {parts} parts"
    ]
