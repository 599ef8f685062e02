"""Conditions on a table's rows, as sentences: `accuracy >= 0.30`, `phase == architecture`.

Those with `>=` and `<=` are the sentences of constraints, also relative to the baseline of the same
phase; `==` and `!=` compare numbers, text and switches. What has no value is equal to nothing.
Columns may have signs in their names, such as `margin: accuracy >= 0.05`, and texts may hold some:
what stands before a sign is a column where the table has one of that name, the longest of several.
"""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from phasetune.errors import StoreError, StudyError
from phasetune.study.constraint import Constraint, parse_constraint
from phasetune.study.problems import suggestion
from phasetune.study.wording import shown

_SIGN = re.compile(r">=|<=|==|!=")
_LONGEST = 1000
_SWITCHES = {"true": True, "false": False}


def column_named(table: pd.DataFrame, name: str, *, asked_by: str) -> "pd.Series[Any]":
    """A column of a table.

    Raises:
        StoreError: it has none of this name; the message says which is near.
    """
    if name not in table:
        known = [str(column) for column in table.columns]
        raise StoreError(f"{asked_by}: there is no column {name!r}{suggestion(name, known)}")
    return table[name]


def rows_where(table: pd.DataFrame, sentence: str, *, group_by: Sequence[str]) -> "pd.Series[bool]":
    """Which rows a condition holds for; a baseline is that of the same group.

    Raises:
        StudyError: the sentence can't be read, or compares what can't be compared.
        StoreError: the table has no such column.
    """
    name, sign, value = _parts(sentence, table)
    asked_by = f"filter {shown(sentence)}"
    if sign in (">=", "<="):
        constraint = _constraint(sign, value, sentence)
        column = column_named(table, name, asked_by=asked_by)
        return _bounded(table, column, constraint, group_by=group_by, asked_by=asked_by)
    column = column_named(table, name, asked_by=asked_by)
    is_equal = column.eq(_value(column, value, asked_by)).fillna(False).astype(bool)
    return is_equal if sign == "==" else ~is_equal


def _parts(sentence: str, table: pd.DataFrame) -> tuple[str, str, str]:
    """Column, sign and what stands behind it: at the last sign that has a column before it."""
    found = [
        (sentence[: sign.start()].strip(), sign[0], sentence[sign.end() :].strip())
        for sign in _SIGN.finditer(sentence[:_LONGEST])
    ]
    whole = [parts for parts in found if parts[0] and parts[2] and not parts[2].startswith("=")]
    if not whole:
        raise _unreadable(sentence)
    return next((parts for parts in reversed(whole) if parts[0] in table), whole[-1])


def _constraint(sign: str, bound: str, sentence: str) -> Constraint:
    try:
        return parse_constraint(f"column {sign} {bound}")
    except StudyError as error:
        raise _unreadable(sentence) from error


def _unreadable(sentence: str) -> StudyError:
    return StudyError(
        f"filter {shown(sentence)} can't be read; write it as 'class_1_accuracy >= 0.30', "
        "'accuracy >= 0.95 * baseline' or 'phase == architecture' (signs: >=, <=, ==, !=)"
    )


def _bounded(
    table: pd.DataFrame,
    column: "pd.Series[Any]",
    constraint: Constraint,
    *,
    group_by: Sequence[str],
    asked_by: str,
) -> "pd.Series[bool]":
    if not _holds_numbers(column):
        raise StudyError(f"{asked_by}: {column.name} holds no numbers; compare by == or !=")
    values = column.astype("float64")
    groups = list(zip(*(table[name] for name in group_by), strict=True))
    known = zip(groups, values, table["baseline"], strict=True)
    baselines = {group: value for group, value, is_baseline in known if is_baseline}
    if constraint.is_relative and not baselines:
        raise StudyError(f"{asked_by}: no phase has a baseline to compare with; name a number")
    margins = [
        constraint.margin(value, baseline=baselines.get(group))
        for group, value in zip(groups, values, strict=True)
    ]
    return pd.Series(margins, index=table.index, dtype="float64") >= 0


def _value(column: "pd.Series[Any]", text: str, asked_by: str) -> bool | float | str:
    """What stands behind the sign, as the column's values are."""
    if pd.api.types.is_bool_dtype(column):
        if text.lower() not in _SWITCHES:
            raise StudyError(f"{asked_by}: {column.name} is true or false, but not {text!r}")
        return _SWITCHES[text.lower()]
    if _holds_numbers(column):
        try:
            return float(text)
        except ValueError as error:
            raise StudyError(
                f"{asked_by}: {column.name} holds numbers, and {text!r} is none"
            ) from error
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _holds_numbers(column: "pd.Series[Any]") -> bool:
    is_switch = pd.api.types.is_bool_dtype(column)
    return pd.api.types.is_numeric_dtype(column) and not is_switch
