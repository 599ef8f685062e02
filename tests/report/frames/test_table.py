"""Rows become columns of the types that they are about, and stay so through files and together."""

import math
from io import BytesIO
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from phasetune.report.frames.columns import TEXT, TRIALS
from phasetune.report.frames.table import (
    Row,
    frame_of,
    metric_columns,
    parameter_column,
    parameters_of,
    plain_values,
    together,
)

NAMED = {"name": TEXT}


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, None, -2], "Int64", [1, None, -2]),
        ([1.5, None], "float64", [1.5, None]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([math.inf, 1, None], "float64", [math.inf, 1.0, None]),
        ([True, None, False], "boolean", [True, None, False]),
        ([None, None], "float64", [None, None]),
        (["adam", None, ""], TEXT, ["adam", None, ""]),
        (["sqrt", 0.5, 3, None], TEXT, ["sqrt", "0.5", "3", None]),
        ([True, 1], TEXT, ["true", "1"]),
        ([[8, 4], [8]], TEXT, ["[8, 4]", "[8]"]),
        ([{"b": 1, "a": [True]}], TEXT, ['{"a": [true], "b": 1}']),
        ([2**63, 1], TEXT, [str(2**63), "1"]),
        ([-(2**63), 2**63 - 1], "Int64", [-(2**63), 2**63 - 1]),
        (["caf\udce9"], TEXT, ["caf\\udce9"]),
        ([], "float64", []),
    ],
    ids=[
        "whole",
        "numbers",
        "whole and broken",
        "infinite",
        "switches",
        "nothing",
        "text",
        "text and numbers",
        "switches and numbers",
        "lists",
        "mappings",
        "too large",
        "largest",
        "no UTF-8",
        "no rows",
    ],
)
def test_a_parameter_has_the_type_of_its_values(
    values: list[Any], dtype: object, expected: list[Any]
) -> None:
    column = parameter_column(values)
    assert column.dtype == dtype
    assert plain_values(column) == expected


plain = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()


@given(some.lists(plain | some.lists(plain, max_size=2), min_size=1, max_size=5))
def test_whatever_parameters_are_parquet_gives_back_what_the_frame_says(values: list[Any]) -> None:
    rows = [Row(about={"name": "x"}, parameters={"a.b": value}) for value in values]
    frame, file = frame_of(rows, NAMED), BytesIO()
    frame.to_parquet(file)
    pd.testing.assert_frame_equal(pd.read_parquet(file), frame)


def test_an_empty_frame_keeps_its_types_through_parquet() -> None:
    frame, file = frame_of([], TRIALS), BytesIO()
    frame.to_parquet(file)
    pd.testing.assert_frame_equal(pd.read_parquet(file), frame)
    assert list(frame.dtypes) == list(TRIALS.values())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loss"], {"loss": "loss"}),
        (["name"], {"name": "metric_name"}),
        (["name", "metric_name"], {"metric_name": "metric_name", "name": "metric_metric_name"}),
        (["loss", "loss_sem"], {"loss": "loss", "loss_sem": "metric_loss_sem"}),
        (["fit.rate"], {"fit.rate": "metric_fit.rate"}),
    ],
)
def test_no_metric_takes_another_column_s_name(names: list[str], expected: dict[str, str]) -> None:
    assert metric_columns(names, ["name", "fit.rate"]) == expected


def test_metrics_stand_beside_their_errors_and_rows_may_lack_them() -> None:
    rows = [
        Row(about={"name": "a"}, metrics={"loss": 0.5}, errors={"loss": 0.1}),
        Row(about={"name": "b"}, metrics={"loss": math.nan}, errors={"loss": None}),
        Row(about={"name": "c"}),
    ]
    frame = frame_of(rows, NAMED)
    assert list(frame.columns) == ["name", "loss", "loss_sem"]
    assert plain_values(frame["loss"]) == [0.5, None, None]
    assert plain_values(frame["loss_sem"]) == [0.1, None, None]


def of(**columns: Any) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    rows = [
        Row(about={"name": "x"}, parameters={name: columns[name][i] for name in columns})
        for i in range(count)
    ]
    return frame_of(rows, NAMED)


@pytest.mark.parametrize(
    ("first", "second", "dtype", "expected"),
    [
        ([1], [2], "Int64", [1, 2]),
        ([1], [None], "Int64", [1, None]),
        ([1], [0.5], "float64", [1.0, 0.5]),
        ([True], [None], "boolean", [True, None]),
        ([True], [0.5], TEXT, ["true", "0.5"]),
        (["a"], [1], TEXT, ["a", "1"]),
        (["a"], [None], TEXT, ["a", None]),
        ([None], [None], "float64", [None, None]),
    ],
)
def test_frames_together_have_a_type_that_holds_both(
    first: list[Any], second: list[Any], dtype: object, expected: list[Any]
) -> None:
    frame = together([of(p=first), of(p=second)], NAMED)
    assert frame["p"].dtype == dtype
    assert plain_values(frame["p"]) == expected


def test_a_column_that_only_one_frame_has_keeps_its_type() -> None:
    frame = together([of(whole=[1], text=["a"]), of(switch=[True])], NAMED)
    assert parameters_of(frame) == ["whole", "text", "switch"]
    dtypes = [frame[name].dtype for name in parameters_of(frame)]
    assert dtypes == ["Int64", TEXT, "boolean"]
    assert [plain_values(frame[name]) for name in parameters_of(frame)] == [
        [1, None],
        ["a", None],
        [None, True],
    ]


def test_frames_without_rows_are_no_part_of_what_is_together() -> None:
    assert together([], NAMED).dtypes.to_dict() == NAMED
    frame = together([frame_of([], NAMED), of(p=[1, 2]).iloc[1:]], NAMED)
    assert (list(frame.index), plain_values(frame["p"])) == ([0], [2])
