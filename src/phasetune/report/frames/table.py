"""From rows to a DataFrame whose types follow from what its columns are about.

Parameters have the type of their values: whole numbers `Int64`, other numbers `float64`, switches
`boolean`, text as text. Lists, mappings and columns of mixed kinds are text as JSON, which Parquet
and CSV can hold as well. What a row lacks is missing, and turns no whole number into another kind.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from phasetune.report.frames.columns import (
    NUMBER,
    SWITCH_OR_NONE,
    TEXT,
    WHOLE,
    WHOLE_OR_NONE,
    Columns,
)

_PARAMETERS = "parameters"
_MOST = 2**63  # whole numbers beyond have no column type


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a row says: the fixed columns, parameters, other numbers, and metrics.

    `errors` are the metrics' standard errors, None or absent where there is none.
    """

    about: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float | None] = field(default_factory=dict)


def frame_of(rows: Sequence[Row], columns: Columns) -> pd.DataFrame:
    """The rows, with these fixed columns first; a metric that has the name of another column is
    `metric_<name>`.
    """
    found: dict[str, pd.Series[Any]] = {
        name: _typed([row.about.get(name) for row in rows], dtype)
        for name, dtype in columns.items()
    }
    parameters = _names(row.parameters for row in rows)
    for name in parameters:
        found[name] = parameter_column([row.parameters.get(name) for row in rows])
    for name in _names(row.numbers for row in rows):
        found[name] = _typed([row.numbers.get(name) for row in rows], NUMBER)
    has_errors = any(row.errors for row in rows)
    for name, column in metric_columns(_names(row.metrics for row in rows), found).items():
        found[column] = _typed([row.metrics.get(name) for row in rows], NUMBER)
        if has_errors:
            found[f"{column}_sem"] = _typed([row.errors.get(name) for row in rows], NUMBER)
    return _with_parameters(pd.DataFrame(found), parameters)


def parameters_of(frame: pd.DataFrame) -> list[str]:
    """Which columns of a frame are parameters."""
    found: list[str] = frame.attrs.get(_PARAMETERS, [])
    return found


def _with_parameters(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    frame.attrs[_PARAMETERS] = names
    return frame


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def metric_columns(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Each metric's column: its name, unless that or its error's is another column's."""
    used, found = set(taken), dict[str, str]()
    for name in sorted(names):
        column = name
        while {column, f"{column}_sem"} & used:
            column = f"metric_{column}"
        used |= {column, f"{column}_sem"}
        found[name] = column
    return found


def parameter_column(values: Sequence[Any]) -> "pd.Series[Any]":
    """A parameter's values, None where a row has none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return _typed(values, SWITCH_OR_NONE)
    whole = [value for value in values if type(value) is int]
    if kinds <= {int, float} and all(-_MOST <= value < _MOST for value in whole):
        return _typed(values, WHOLE_OR_NONE if kinds == {int} else NUMBER)
    return _typed(values, TEXT)


def _typed(values: Sequence[Any], dtype: Any) -> "pd.Series[Any]":
    if dtype == TEXT:
        return pd.Series([_text(value) for value in values], dtype=TEXT)
    typed: pd.Series[Any] = pd.Series(values, dtype=dtype)
    return typed


def _text(value: Any) -> str | None:
    """Text as it is, but for what UTF-8 can't say, as in odd file names; the rest as JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def together(frames: Iterable[pd.DataFrame], columns: Columns) -> pd.DataFrame:
    """Frames below each other; without any rows the fixed columns alone."""
    found = [frame for frame in frames if len(frame)]
    if len(found) < 2:
        return found[0].reset_index(drop=True) if found else frame_of([], columns)
    dtypes = {
        name: _common([frame[name] for frame in found if name in frame])
        for name in _names(dict.fromkeys(frame.columns) for frame in found)
    }
    joined = pd.concat([_with_types(frame, dtypes) for frame in found], ignore_index=True)
    parameters = dict.fromkeys(name for frame in found for name in parameters_of(frame))
    return _with_parameters(joined, list(parameters))


def _common(parts: Sequence["pd.Series[Any]"]) -> Any:
    """The type that holds all parts of a column; one without values has no say."""
    kinds = {part.dtype for part in parts}
    if len(kinds) > 1:
        kinds = {part.dtype for part in parts if part.notna().any()} or kinds
    if len(kinds) == 1:
        return kinds.pop()
    return NUMBER if {str(kind) for kind in kinds} <= {NUMBER, WHOLE, WHOLE_OR_NONE} else TEXT


def _with_types(frame: pd.DataFrame, dtypes: Mapping[str, Any]) -> pd.DataFrame:
    count = len(frame)
    return pd.DataFrame(
        {
            name: _as_type(frame[name], dtype) if name in frame else _typed([None] * count, dtype)
            for name, dtype in dtypes.items()
        }
    )


def _as_type(part: "pd.Series[Any]", dtype: Any) -> "pd.Series[Any]":
    if part.dtype == dtype:
        return part.reset_index(drop=True)
    return _typed(plain_values(part), dtype)


def plain_values(column: "pd.Series[Any]") -> list[Any]:
    """A column as Python's own values, None where it has none."""
    missing = column.isna().tolist()
    values = zip(column.tolist(), missing, strict=True)
    return [None if is_missing else value for value, is_missing in values]
