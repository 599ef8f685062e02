"""What a run may ask of a machine."""

from typing import Any

import pytest
from pydantic import ValidationError

from phasetune.study.problems import dotted, validation_messages
from phasetune.study.resources import Resources, rounded_down
from phasetune.study.schema import Study


def asking(resources: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "workload": "toy",
        "objective": {"metric": "a"},
        "phases": [{"name": "p", "points": [{}]}],
        "resources_per_trial": resources,
    }


@pytest.mark.parametrize(
    ("gpu", "found"),
    [(None, None), (0, 0.0), (0.25, 0.25), (0.01, 0.01), (1, 1.0), (4.0, 4.0), ("auto", "auto")],
)
def test_gpus_are_a_number_a_part_or_auto(gpu: Any, found: float | str | None) -> None:
    study = Study.model_validate(asking({"gpu": gpu}))
    assert study.resources_per_trial.gpu == found
    assert Study.model_validate(study.model_dump(mode="json")) == study


GPUS = "must be auto, a part of a GPU from 0.01 to 1, or a whole number, but is "
CPUS = "must be greater than or equal to 0.01"
TYPE = "must be a type of GPU by Ray's name, such as A100, but is "
WORDS = "must be of letters, digits and . _ - such as {zone: b}, but one is "


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"gpu": 1.5}, f"resources_per_trial.gpu: {GPUS}1.5"),
        ({"gpu": 0.001}, f"resources_per_trial.gpu: {GPUS}0.001"),
        ({"gpu": -1}, f"resources_per_trial.gpu: {GPUS}-1"),
        ({"gpu": True}, f"resources_per_trial.gpu: {GPUS}True"),
        ({"gpu": "all"}, f"resources_per_trial.gpu: {GPUS}'all'"),
        ({"gpu": float("nan")}, f"resources_per_trial.gpu: {GPUS}nan"),
        ({"gpu": [1]}, f"resources_per_trial.gpu: {GPUS}[1]"),
        ({"cpu": 0}, f"resources_per_trial.cpu: {CPUS}, but is 0"),
        ({"cpu": 0.00001}, f"resources_per_trial.cpu: {CPUS}, but is 1e-05"),
        (
            {"cpu": 1e305},
            "resources_per_trial.cpu: must be less than or equal to 1048576, but is 1e+305",
        ),
        ({"cpu": float("inf")}, "resources_per_trial.cpu: must be a finite number, but is inf"),
        ({"cpu": float("nan")}, "resources_per_trial.cpu: must be a finite number, but is nan"),
        (
            {"accelerator": "A 100"},
            f"resources_per_trial.accelerator: {TYPE}'A 100'",
        ),
        (
            {"accelerator": "A100", "gpu": 0},
            "resources_per_trial: accelerator: 'A100' is asked for, but gpu is 0",
        ),
        ({"labels": {"zone": "!b"}}, f"resources_per_trial.labels: {WORDS}zone: '!b'"),
        ({"labels": {"a//b": "c"}}, f"resources_per_trial.labels: {WORDS}a//b: 'c'"),
        (
            {"labels": {"zone": 1}},
            "resources_per_trial.labels.zone: must be a valid string, but is 1",
        ),
        ({"gpus": 1}, "resources_per_trial.gpus: is not known; did you mean 'gpu'?"),
    ],
)
def test_what_is_wrong(resources: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Study.model_validate(asking(resources))
    (found,) = validation_messages(caught.value, Study)
    assert f"{dotted(found[0])}: {found[1]}" == message


def test_cpus_are_counted_as_ray_counts_them() -> None:
    assert Resources.model_validate({"cpu": 1 / 3}).cpu == 0.3333
    assert Resources.model_validate({"cpu": 64}).cpu == 64.0


def test_labels_may_have_a_prefix() -> None:
    labels = {"zone": "b", "example.org/rack": "r-1.2_3"}
    assert Resources.model_validate({"labels": labels}).labels == labels


@pytest.mark.parametrize("count", range(1, 101))
def test_equal_shares_of_a_gpu_fit_on_it_as_ray_counts(count: int) -> None:
    share = rounded_down(1 / count)
    assert round(share * 10_000) * count <= 10_000
    assert share > 1 / count - 0.0001
