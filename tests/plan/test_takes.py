"""What `plan` says of what a run takes."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from phasetune.plan.takes import takes
from phasetune.stage.contract import Stage
from phasetune.study.schema import Study

FIT = Stage(name="fit", params=BaseModel, function="toy:fit", reads=("train",))
TEST = Stage(name="test", params=BaseModel, function="toy:test", reads=("test",))
PLAIN = (FIT, TEST)
LOAD = replace(FIT, name="load", uses_gpu=False)
SORT = replace(FIT, name="sort", uses_gpu=False)


@pytest.mark.parametrize(
    ("resources", "stages", "said"),
    [
        ({}, PLAIN, "one GPU where there are any, else 2 CPUs"),
        ({}, (LOAD, FIT), "one GPU where there are any, else 2 CPUs; load takes 2 CPUs and no GPU"),
        ({}, (LOAD, SORT), "2 CPUs"),
        ({"gpu": 0, "cpu": 1}, PLAIN, "1 CPU"),
        ({"gpu": 1}, PLAIN, "1 GPU"),
        ({"gpu": 2}, (LOAD, SORT, FIT), "2 GPUs; load, sort take 2 CPUs and no GPU"),
        ({"gpu": 0.25}, PLAIN, "0.25 of a GPU, so that 4 fit on one"),
        ({"gpu": 0.25, "cpu": 1}, PLAIN, "0.25 of a GPU, so that at most 4 fit on one"),
        ({"gpu": 0.3}, PLAIN, "0.3 of a GPU, so that 3 fit on one"),
        (
            {"gpu": "auto"},
            PLAIN,
            "the part of a GPU that the largest is measured to need, without GPUs 2 CPUs",
        ),
        (
            {"gpu": 1, "accelerator": "A100", "labels": {"zone": "b"}},
            PLAIN,
            "1 GPU of a node with accelerator A100 and zone=b",
        ),
        ({"labels": {"zone": "b"}, "accelerator": "T4"}, (LOAD,), "2 CPUs of a node with zone=b"),
    ],
)
def test_what_each_run_takes(
    resources: dict[str, Any], stages: tuple[Stage, ...], said: str
) -> None:
    assert takes(asking(resources_per_trial=resources), stages) == f"Each run takes {said}."


def test_how_many_at_once_is_said_where_it_is_limited() -> None:
    said = takes(asking(resources_per_trial={"gpu": 1}, max_concurrent_trials=3), PLAIN)
    assert said == "Each run takes 1 GPU; at most 3 at once."


def asking(**fields: Any) -> Study:
    content = {"name": "s", "workload": "toy", "objective": {"metric": "a"}}
    phases = [{"name": "p", "points": [{}]}]
    numerics = {"threads": 2}
    return Study.model_validate({**content, "phases": phases, "numerics": numerics, **fields})
