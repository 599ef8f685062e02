from typing import Any

import pytest
from pydantic import ValidationError

from phasetune.study.problems import dotted, validation_messages
from phasetune.study.schema import (
    DECISION_FIELDS,
    FREE_FIELDS,
    RUN_FIELDS,
    Phase,
    Point,
    Study,
    is_safe_name,
)
from phasetune.study.wording import shown


def content(**changes: Any) -> dict[str, Any]:
    phase = {"name": "p", "grid": {"fit.rate": [1]}}
    least = {"name": "s", "workload": "toy", "objective": {"metric": "a"}, "phases": [phase]}
    return {**least, **changes}


def messages(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Study.model_validate(content(**changes))
    found = validation_messages(caught.value, Study)
    return [f"{dotted(path)}: {message}" for path, message in found]


def test_every_field_is_classified_once() -> None:
    classes = [RUN_FIELDS, DECISION_FIELDS, FREE_FIELDS]
    assert sorted(name for fields in classes for name in fields) == sorted(Study.model_fields)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectiv": {}}, "objectiv: is not known; did you mean 'objective'?"),
        ({"zzz": 1}, "zzz: is not known; known: allow_large, baseline, constraints, "),
        (
            {"phases": [{"name": "p", "grids": {}, "points": [{}]}]},
            "phases.0.grids: is not known; did you mean 'grid'?",
        ),
        ({"final": {"refits": True}}, "final.refits: is not known; did you mean 'refit'?"),
        ({"name": 5}, "name: must be a valid string, but is 5"),
        ({"params": []}, "params: must be a valid mapping, but is []"),
        ({"phases": 5}, "phases: must be a valid list, but is 5"),
        ({"phases": []}, "phases: list must have at least 1 item, but is []"),
        ({"seed": -1}, "seed: must be greater than or equal to 0, but is -1"),
        ({"replicates": {"folds": 1}}, "replicates.folds: must be greater than or equal to 2, but"),
        ({"objective": {}}, "objective.metric: is missing"),
        ({"ties": "first"}, "ties: must be 'report' or 'prefer_first', but is 'first'"),
        ({"workload": "../toy"}, "workload: must name a module as an import does"),
        ({"constraints": ["a > 1"]}, "constraints.0: constraint 'a > 1' can't be read"),
        ({"import_from": ["a\0"]}, "import_from.0: must be a folder, but is 'a\\x00'"),
        (
            {"phases": [{"name": "final", "points": [{}]}]},
            "study: phases: the name 'final' is taken by what follows the last phase",
        ),
        (
            {"phases": [{"name": "p", "points": [{}]}] * 2},
            "study: phases: two phases are named 'p'; names must differ",
        ),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    found = messages(**changes)
    assert len(found) == 1
    assert found[0].removeprefix(": ").startswith(message.removeprefix("study: "))


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"grid": {}}, "phases.0.grid: mapping must have at least 1 item, but is {}"),
        ({"grid": {"a.b": []}}, "phases.0.grid.a.b: value must have at least 1 item, but is []"),
        ({"grid": {"a.b": 3}}, "phases.0.grid.a.b: must be a list of values, but is 3"),
        ({"grid": {"a.b": "xy"}}, "phases.0.grid.a.b: must be a list of values, but is 'xy'"),
        ({"points": []}, "phases.0.points: list must have at least 1 item, but is []"),
        ({"points": [3]}, "phases.0.points.0: must be a valid mapping, but is "),
        ({}, "phases.0: must have either a grid or points"),
        ({"grid": {"a.b": [1]}, "points": [{}]}, "phases.0: must have either a grid or points"),
        ({"points": [{"expect": {"a": [2, 1]}}]}, "phases.0.points.0: expect.a must be [low, hi"),
        ({"points": [{"expect": {"a": [1]}}]}, "phases.0.points.0.expect.a.1: is missing"),
    ],
)
def test_what_is_wrong_in_a_phase(phase: dict[str, Any], message: str) -> None:
    found = messages(phases=[{"name": "p", **phase}])
    assert len(found) == 1
    assert found[0].startswith(message)


def test_a_study_has_at_most_100_phases() -> None:
    (problem,) = messages(phases=[{"name": f"p{i}", "points": [{}]} for i in range(101)])
    assert problem.startswith("phases: list must have at most 100 items, but is [{'name': 'p0'")


BAD_NAMES = ["", "..", "a..b", "../x", "a/b", "a\\b", ".hidden", "-x", "a b", "a\n", "ä", "a" * 101]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_could_leave_their_folder(name: str) -> None:
    assert not is_safe_name(name)
    phases = [{"name": name, "points": [{}]}]
    ours = f"must be 1 to 100 ASCII letters, digits or . _ = + - without '..', starting with a letter or digit, but is {shown(name)}"  # noqa: E501
    assert messages(name=name, phases=phases) == [f"name: {ours}", f"phases.0.name: {ours}"]


@pytest.mark.parametrize("name", ["a", "lstm-phase-iv", "lr=1e-05", "0.5+x_y", "a" * 100])
def test_names_that_are_folders(name: str) -> None:
    assert is_safe_name(name)
    assert Study.model_validate(content(name=name)).name == name


def test_a_study_is_frozen() -> None:
    study = Study.model_validate(content())
    with pytest.raises(ValidationError, match="frozen"):
        study.seed = 3  # type: ignore[misc]


def test_a_point_is_flat_in_a_file() -> None:
    flat = {"fit.heads": 8, "note": "n", "expect": {"a": [0.0, 1.0]}}
    point = Point.model_validate(flat)
    assert point.params == {"fit.heads": 8}
    assert (point.note, point.expect) == ("n", {"a": (0.0, 1.0)})
    assert point.model_dump() == flat
    assert Point(params={"fit.heads": 8}).model_dump() == {"fit.heads": 8}


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"constraints": ["a >= 0.3"]}, False),
        ({"constraints": ["a >= 0.3", "b >= 0.9 * baseline"]}, True),
        ({"baseline": {}}, True),
    ],
)
def test_when_the_baseline_is_evaluated(changes: dict[str, Any], needed: bool) -> None:
    assert Study.model_validate(content(**changes)).needs_baseline is needed


def test_a_phase_of_python_is_the_phase_of_a_file() -> None:
    made = Phase(name="p", points=(Point(params={"fit.rate": 1}),))
    assert made == Phase.model_validate({"name": "p", "points": [{"fit.rate": 1}]})


@pytest.mark.parametrize(
    ("tracking", "found"),
    [
        (None, None),
        ("none", {}),
        (["none"], {}),
        ([], {}),
        ("jsonl", {"jsonl": None}),
        (["mlflow", "tensorboard"], {"mlflow": None, "tensorboard": None}),
        ({"mlflow": "http://localhost:5000"}, {"mlflow": "http://localhost:5000"}),
        (
            {"mlflow": "http://localhost:5000", "jsonl": None},
            {"mlflow": "http://localhost:5000", "jsonl": None},
        ),
    ],
)
def test_the_ways_to_name_trackers(tracking: Any, found: dict[str, str | None] | None) -> None:
    assert Study.model_validate(content(tracking=tracking)).tracking == found


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (
            "mlflo",
            "tracking: must be none or name trackers, but names 'mlflo'; did you mean 'mlflow'?",
        ),
        (["none", "jsonl"], "tracking: must be none or name trackers, but names 'none'"),
        (
            {"x": 1},
            "tracking: must be none or name trackers, but names 'x'; known: jsonl, mlflow, ",
        ),
        (5, "tracking: must be none, a tracker or a list of trackers, but is 5"),
        ([1], "tracking: must be none, a tracker or a list of trackers, but is [1]"),
        ({"mlflow": 5}, "tracking.mlflow: must be a valid string, but is 5"),
        ({"mlflow": ""}, "tracking.mlflow: must have at least 1 character, but is ''"),
    ],
)
def test_what_is_wrong_with_trackers(tracking: Any, message: str) -> None:
    (problem,) = messages(tracking=tracking)
    assert problem.startswith(message)
