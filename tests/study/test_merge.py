from typing import Any

import pytest

from phasetune.errors import StudyError
from phasetune.study.merge import merged, overridden
from phasetune.study.reading import Document

GRID = {"name": "g", "grid": {"fit.rate": [1]}}
POINTS = {"name": "q", "points": [{"fit.rate": 1}, {"fit.rate": 2}]}
BASE: dict[str, Any] = {"seed": 1, "params": {"fit": {"rate": 1, "heads": 2}}}
PHASED: dict[str, Any] = {**BASE, "phases": [GRID, POINTS]}


def merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return merged(Document(content=base), Document(content=change)).content


def override(content: dict[str, Any], text: str) -> dict[str, Any]:
    return overridden(Document(content=content), text).content


def phases(*given: dict[str, Any]) -> dict[str, Any]:
    return {"phases": list(given)}


@pytest.mark.parametrize(
    ("base", "change", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": {"y": 1, "z": 2}}}, {"a": {"x": {"z": 3}}}, {"a": {"x": {"y": 1, "z": 3}}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        (
            phases({"name": "p", "grid": {"a.b": [1], "a.c": [2]}}, POINTS),
            phases({"name": "p", "grid": {"a.c": [3]}}),
            phases({"name": "p", "grid": {"a.b": [1], "a.c": [3]}}, POINTS),
        ),
        (phases(GRID), phases(POINTS), phases(GRID, POINTS)),
        (
            phases(GRID),
            phases({"name": "g", "points": [{}]}),
            phases({"name": "g", "points": [{}]}),
        ),
        (
            phases(POINTS),
            phases({"name": "q", "grid": {"a.b": [1]}}),
            phases({"name": "q", "grid": {"a.b": [1]}}),
        ),
        (
            phases(POINTS),
            phases({"name": "q", "points": [{}], "trial_name": "t"}),
            phases({"name": "q", "points": [{}], "trial_name": "t"}),
        ),
        (phases(GRID), phases({"name": ["x"]}), phases({"name": ["x"]})),
        (phases(GRID), phases(POINTS, POINTS), phases(POINTS, POINTS)),
        (phases(GRID), {"phases": 3}, {"phases": 3}),
        (
            {"params": {"s": {"grid": 1}}},
            {"params": {"s": {"points": 2}}},
            {"params": {"s": {"grid": 1, "points": 2}}},
        ),
    ],
)
def test_one_file_on_top_of_another(
    base: dict[str, Any], change: dict[str, Any], result: dict[str, Any]
) -> None:
    assert merge(base, change) == result


def test_places_follow_the_values() -> None:
    base = Document(
        content=phases(GRID, POINTS),
        places={("phases", 0, "grid", "fit.rate"): "b:1", ("phases", 1): "b:2"},
    )
    change = Document(
        content=phases({"name": "q", "trial_name": "t"}),
        places={("phases", 0, "trial_name"): "c:1", ("phases", 0): "c:2"},
    )
    found = merged(base, change)
    assert found.place(("phases", 0, "grid", "fit.rate")) == "b:1"
    assert found.place(("phases", 1, "trial_name")) == "c:1"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=5", ("seed",), 5),
        ("name=x=y", ("name",), "x=y"),
        ("params.fit.rate=1e-3", ("params", "fit", "rate"), 0.001),
        ("params.other.deep.rate=[1, a]", ("params", "other", "deep", "rate"), [1, "a"]),
        ("max_failures=", ("max_failures",), None),
        ("objective={metric: a}", ("objective",), {"metric": "a"}),
        ("baseline.fit.rate=2", ("baseline", "fit.rate"), 2),
        ("baseline={fit.rate: 2}", ("baseline", "fit.rate"), 2),
        ("phases.g.grid.fit.rate=[3]", ("phases", 0, "grid", "fit.rate"), [3]),
        ("phases.0.grid.fit.rate=[3]", ("phases", 0, "grid", "fit.rate"), [3]),
        ("phases.g.grid.fit.deep.x=[3]", ("phases", 0, "grid", "fit.deep.x"), [3]),
        ("phases.g.grid={fit.x: [3]}", ("phases", 0, "grid"), {"fit.x": [3]}),
        ("phases.g.trial_name=t", ("phases", 0, "trial_name"), "t"),
        ("phases.q.points.1.fit.rate=7", ("phases", 1, "points", 1, "fit.rate"), 7),
        ("phases.1.points.0.fit.deep.x=7", ("phases", 1, "points", 0, "fit.deep.x"), 7),
        ("phases.1.points.0={fit.rate: 7}", ("phases", 1, "points", 0), {"fit.rate": 7}),
        ("phases.q={name: r}", ("phases", 1), {"name": "r"}),
        ("params.fit.grid.x.y=1", ("params", "fit", "grid", "x", "y"), 1),
    ],
)
def test_overrides(text: str, path: tuple[str | int, ...], value: Any) -> None:
    found: Any = override(PHASED, text)
    for part in path:
        found = found[part]
    assert found == value


def test_an_override_leaves_all_else_and_the_original_as_it_was() -> None:
    found = override(PHASED, "phases.q.points.1.fit.rate=7")
    points = [{"fit.rate": 1}, {"fit.rate": 7}]
    assert found == {**BASE, "phases": [GRID, {"name": "q", "points": points}]}
    assert POINTS["points"] == [{"fit.rate": 1}, {"fit.rate": 2}]


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("phases.g.points=[{}]", {"name": "g", "points": [{}]}),
        ("phases.q.grid.a.b=[1]", {"name": "q", "grid": {"a.b": [1]}}),
    ],
)
def test_a_grid_and_points_replace_each_other(text: str, phase: dict[str, Any]) -> None:
    assert phase in override(PHASED, text)["phases"]


def test_parameters_named_grid_and_points_live_together() -> None:
    first = override(BASE, "params.fit.grid=1")
    assert override(first, "params.fit.points=2")["params"]["fit"] == {
        **BASE["params"]["fit"],
        "grid": 1,
        "points": 2,
    }


def test_a_phase_named_like_a_number_goes_by_its_name() -> None:
    content = phases({"name": "1", "grid": {}}, {"name": "0", "grid": {}})
    assert override(content, "phases.0.trial_name=t")["phases"][1]["trial_name"] == "t"


def test_an_override_is_the_place_of_its_value() -> None:
    document = Document(content=PHASED, places={("seed",): "f:1", ("params",): "f:2"})
    found = overridden(document, "params.fit.rate=3")
    assert found.place(("params", "fit", "rate")) == "override 'params.fit.rate=3'"
    assert found.place(("params", "fit", "heads")) == "f:2"
    assert found.place(("seed",)) == "f:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "override 'seed' must be of the form key.path=value"),
        ("=3", "override '=3' must be of the form key.path=value"),
        ("", "override '' must be of the form key.path=value"),
        ("seed=[1", "override 'seed=[1':1: not valid YAML: "),
        ("seed=*x", "override 'seed=*x':1: aliases (*x) are refused; write the value"),
        ("seed={a: 1, a: 2}", "override 'seed={a: 1, a: 2}':1: a is given twice; keep one"),
        ("seed.x=1", "override 'seed.x=1': there is no 'x' below 1"),
        ("phases.h.name=x", "override 'phases.h.name=x': there is no 'h'; known: g, q"),
        ("phases.gg.name=x", "override 'phases.gg.name=x': there is no 'gg'; did you mean 'g'?"),
        ("phases.2.name=x", "override 'phases.2.name=x': there is no '2'; known: g, q"),
        ("phases.-1.name=x", "override 'phases.-1.name=x': there is no '-1'; known: g, q"),
        ("phases.².name=x", "override 'phases.².name=x': there is no '²'; known: g, q"),
        ("phases.q.points.2.a=1", "override 'phases.q.points.2.a=1': there is no '2'; known: 0, 1"),
        ("phases.g.points.0.a=1", "override 'phases.g.points.0.a=1': there is no '0' below None"),
        ("phases.g.name.x=1", "override 'phases.g.name.x=1': there is no 'x' below 'g'"),
    ],
)
def test_overrides_that_lead_nowhere(text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        override(PHASED, text)
    assert str(caught.value).startswith(message)
