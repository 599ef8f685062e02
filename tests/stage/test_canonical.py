import math
from collections.abc import Mapping
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.stage.canonical import canonical, canonical_json, digest, restored


class Optimizer(Enum):
    ADAM = "adam"


class Level(IntEnum):
    HIGH = 3


class Params(BaseModel):
    rate: float = 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "74234e98afe7498fb5daf1f36ac2d78a"),
        (True, "b5bea41b6c623f7c09f1bf24dcae58eb"),
        (1, "6b86b273ff34fce19d6b804eff5a3f57"),
        (1.0, "d0ff5974b6aa52cf562bea5921840c03"),
        (1e-3, "9fca51987c96ba92d35f303353b7065f"),
        (math.inf, "d9f2b556bf9b44b3c186e9078d687c62"),
        ("ä", "fcffd6cc332f8da3e22e26dd90679510"),
        ([1, 2.5], "59241083b9b5b938d7d5af46a51e2d46"),
        ({"b": [1], "a": {"x": None}}, "32e81c83c9a3a5237cfea095ef2e42af"),
        ({}, "44136fa355b3678a1146ad16f7e8649e"),
    ],
)
def test_digests_never_change(value: object, expected: str) -> None:
    assert digest(value) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (-0.0, 0.0),
        (1e-3, 0.001),
        (Optimizer.ADAM, "adam"),
        (Level.HIGH, 3),
        (Params(rate=1).rate, Params(rate=1.0).rate),
    ],
)
def test_equal_values_have_equal_digests(one: object, other: object) -> None:
    assert digest(one) == digest(other)


def test_different_values_have_different_digests() -> None:
    values = [1, 2, True, "1", "", None, [], {}, [1], {"a": 1}, 0.1, math.inf, -math.inf]
    assert len({digest(value) for value in values}) == len(values)


def test_text_is_sorted_and_without_spaces() -> None:
    assert canonical_json({"b": (1.5, "ü"), "a": False}) == '{"a":false,"b":[1.5,"\\u00fc"]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rate": math.nan}, "params.rate is NaN, which is not equal to itself"),
        ({"names": {"a"}}, "params.names is a set, which can't be part of an identity"),
        ({"names": [frozenset()]}, r"params.names\[0\] is a frozenset"),
        ({"file": {"at": Path("x")}}, r"params.file.at is a \w*Path, which can't"),
        ({"raw": b"x"}, "params.raw is a bytes"),
        ({"f": print}, "params.f is a builtin_function_or_method"),
        ({"table": {1: "x"}}, "params.table has the key 1; keys must be text"),
    ],
)
def test_unstable_values_are_refused_by_path(value: Mapping[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=f"^{message}"):
        canonical(value, where="params")


@pytest.mark.parametrize("value", [math.inf, -math.inf, [1, math.inf], {"a": {"b": -math.inf}}, 2])
def test_restored_undoes_canonical(value: object) -> None:
    assert restored(canonical(value)) == value
