import math
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from phasetune.errors import PlanError
from phasetune.stage import Stage
from phasetune.study.parameters import (
    flatten,
    kind_problems,
    known_parameters,
    nest,
    typed_settings,
    typed_stage,
)


class Inner(BaseModel):
    rate: float = 0.1


class Params(BaseModel):
    heads: int = 4
    clip: float = 1.0
    flag: bool = False
    label: str | None = None
    inner: Inner = Inner()
    maybe: Inner | None = None
    layers: dict[str, Inner] = {}
    sizes: tuple[int, ...] = ()


class Needy(BaseModel):
    count: int

    @field_validator("count")
    @classmethod
    def _even(cls, count: int) -> int:
        if count % 2:
            raise ValueError(f"must be even, but is {count}")
        return count


STAGE = Stage(name="fit", params=Params, function="m:f")
NEEDY = Stage(name="needy", params=Needy, function="m:f")


def test_known_parameters_go_into_models_only() -> None:
    assert known_parameters([STAGE, NEEDY]) == (
        "fit.heads",
        "fit.clip",
        "fit.flag",
        "fit.label",
        "fit.inner",
        "fit.inner.rate",
        "fit.maybe",
        "fit.maybe.rate",
        "fit.layers",
        "fit.sizes",
        "needy.count",
    )


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({"heads": 3, "clip": 1, "sizes": [1, 2], "layers": {"a": {"rate": 1}}}, {}),
        ({"maybe": None, "label": "5"}, {}),
        ({"heads": 8.0}, {}),
        ({"head": 3}, {"head": "is no parameter of 'fit'; did you mean 'heads'?"}),
        ({"inner": {"rat": 3}}, {"inner.rat": "is no parameter of 'fit'; did you mean 'rate'?"}),
        ({"maybe": {"rat": 3}}, {"maybe.rat": "is no parameter of 'fit'; did you mean 'rate'?"}),
        ({"heads": "3"}, {"heads": "must be a number, but is '3'"}),
        ({"heads": True}, {"heads": "must be a number, but is True"}),
        ({"flag": 1}, {"flag": "must be a switch (true or false), but is 1"}),
        ({"flag": "yes"}, {"flag": "must be a switch (true or false), but is 'yes'"}),
        ({"sizes": [1, "2"]}, {"sizes.1": "must be a number, but is '2'"}),
        ({"layers": {"a": {"rate": "1"}}}, {"layers.a.rate": "must be a number, but is '1'"}),
        ({"label": 5}, {"label": "must be a valid string, but is 5"}),
        ({"x": 1, "clip": "1"}, {"x": "is no parameter", "clip": "must be a number, but is '1'"}),
        ("text", {"": "must be a mapping of parameters, but is 'text'"}),
        (None, {"": "must be a mapping of parameters, but is None"}),
    ],
)
def test_typing_one_stage(values: object, problems: Mapping[str, str]) -> None:
    model, found = typed_stage(STAGE, values)
    assert {".".join(str(part) for part in path) for path, _ in found} == set(problems)
    for path, message in found:
        assert message.startswith(problems[".".join(str(part) for part in path)])
    assert (model is None) == bool(problems)


def test_values_that_mean_the_same_are_one_setting() -> None:
    one, other = (
        flatten(typed_settings([STAGE], {"fit.clip": clip, "fit.sizes": sizes}))
        for clip, sizes in ((1, [1, 2]), (1.0, (1, 2)))
    )
    assert one == other
    assert set(map(type, (one["fit.clip"], other["fit.clip"]))) == {float}


@pytest.mark.parametrize("changes", [{}, {"fit.clip": math.inf}, {"fit.inner.rate": -math.inf}])
def test_a_setting_types_back_to_itself(changes: dict[str, Any]) -> None:
    setting = flatten(typed_settings([STAGE], changes))
    assert "fit.inner.rate" in setting
    assert "fit.inner" not in setting
    assert flatten(typed_settings([STAGE], setting)) == setting


def test_values_without_stable_writing_are_refused() -> None:
    with pytest.raises(PlanError, match=r"^params\.fit\.clip is NaN"):
        flatten(typed_settings([STAGE], {"fit.clip": math.nan}))


def test_all_stages_are_reported_together() -> None:
    with pytest.raises(PlanError) as caught:
        typed_settings([STAGE, NEEDY], {"fit.heads": "3", "needy.count": 3})
    assert caught.value.problems == (
        "fit.heads: must be a number, but is '3'",
        "needy.count: must be even, but is 3",
    )


def test_a_missing_parameter() -> None:
    assert typed_stage(NEEDY, {}) == (None, [(("count",), "is missing")])


def test_nest() -> None:
    assert nest({"a.x": 1, "a.y.z": 2, "b.x": 3}) == {"a": {"x": 1, "y": {"z": 2}}, "b": {"x": 3}}


def test_kinds_are_compared_deeply() -> None:
    given = {"a": ["1", {"b": True}], "c": "text"}
    typed = {"a": (1, {"b": 1}), "c": "text"}
    assert dict(kind_problems((), given, typed)) == {
        ("a", 0): "must be a number, but is '1'",
        ("a", 1, "b"): "must be a number, but is True",
    }
