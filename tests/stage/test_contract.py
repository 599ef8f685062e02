import dataclasses
from types import ModuleType

import pytest
from pydantic import BaseModel

from phasetune.stage import LABELLED_PART, TEST_PART, Fold, Milestone, Stage, Workload


class Params(BaseModel):
    epochs: int = 1


def test_a_module_with_stages_and_data_is_a_workload() -> None:
    module = ModuleType("made")
    assert not isinstance(module, Workload)
    vars(module).update(STAGES=(), Data=BaseModel)
    assert isinstance(module, Workload)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (Stage(name="fit", params=Params, function="m:f"), "name"),
        (Fold(index=0, of=5, seed=1), "index"),
        (Milestone(horizon="epochs", branch_step=3), "horizon"),
    ],
)
def test_values_of_the_contract_are_frozen(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")


def test_a_stage_reads_nothing_unless_it_says_so() -> None:
    stage = Stage(name="fit", params=Params, function="m:f")
    assert LABELLED_PART not in stage.reads
    assert TEST_PART not in stage.reads
