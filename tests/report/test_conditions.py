"""Conditions hold for the rows that they say, or are refused in a sentence."""

import math
from typing import Any

import pandas as pd
import pytest

from phasetune import PhasetuneError
from phasetune.report.conditions import rows_where

TABLE = pd.DataFrame(
    {
        "phase": ["size", "size", "rate", "rate"],
        "baseline": [True, False, True, False],
        "is_winner": [False, True, True, False],
        "feasible": pd.Series([True, False, None, True], dtype="boolean"),
        "fit.width": pd.Series([8, 16, None, 8], dtype="Int64"),
        "fit.optimizer": ["adam", "sgd", "adam", None],
        "score": [0.5, 0.48, 0.3, math.nan],
        "margin: score >= 0.3": [0.2, 0.18, 0.0, math.nan],
        "note": ["a >= b", "x == y", "", None],
    }
)


def rows(sentence: str) -> list[int]:
    holds = rows_where(TABLE, sentence, group_by=["phase"])
    assert holds.dtype == bool
    return list(TABLE.index[holds])


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("score >= 0.48", [0, 1]),
        ("score<=0.48", [1, 2]),
        ("score >= 0.9 * baseline", [0, 1, 2]),
        ("score >= baseline", [0, 2]),
        ("score >= baseline - 0.02", [0, 1, 2]),
        ("fit.width >= 9", [1]),
        ("phase == size", [0, 1]),
        ("phase=='size'", [0, 1]),
        ("phase != size", [2, 3]),
        ("fit.width == 8", [0, 3]),
        ("fit.width != 8.0", [1, 2]),
        ("fit.optimizer == adam", [0, 2]),
        ("fit.optimizer != adam", [1, 3]),
        ('fit.optimizer == ""', []),
        ("score == nan", []),
        ("is_winner == true", [1, 2]),
        ("is_winner != True", [0, 3]),
        ("feasible == false", [1]),
        ("feasible != false", [0, 2, 3]),
        ("margin: score >= 0.3 >= 0.19", [0]),
        ("margin: score >= 0.3<=0", [2]),
        ("margin: score >= 0.3 == 0.0", [2]),
        ("margin: score >= 0.3 >= 0.8 * baseline", [0, 1, 2]),
        ("note == a >= b", [0]),
        ("note != x == y", [0, 2, 3]),
    ],
)
def test_a_condition_holds_for_what_it_says(sentence: str, expected: list[int]) -> None:
    assert rows(sentence) == expected


CANT = (
    " can't be read; write it as 'class_1_accuracy >= 0.30', 'accuracy >= 0.95 * baseline' or "
    "'phase == architecture' (signs: >=, <=, ==, !=)"
)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("score > 0.4", f"filter 'score > 0.4'{CANT}"),
        ("score = 0.4", f"filter 'score = 0.4'{CANT}"),
        ("", f"filter ''{CANT}"),
        ("score === 1", f"filter 'score === 1'{CANT}"),
        ("score >= 1 * b", f"filter 'score >= 1 * b'{CANT}"),
        (
            "margin: scor >= 0.3 >= 0.4",
            "filter 'margin: scor >= 0.3 >= 0.4': there is no column 'margin: scor >= 0.3'; did ",
        ),
        ("score ==", f"filter 'score =='{CANT}"),
        ("scor >= 1", "filter 'scor >= 1': there is no column 'scor'; did you mean 'score'?"),
        (
            "width == 8",
            "filter 'width == 8': there is no column 'width'; did you mean 'fit.width'?",
        ),
        (
            "x == 1",
            "filter 'x == 1': there is no column 'x'; known: baseline, feasible, fit.optimizer, ",
        ),
        ("phase >= 3", "filter 'phase >= 3': phase holds no numbers; compare by == or !="),
        ("is_winner >= 1", "filter 'is_winner >= 1': is_winner holds no numbers; compare by == "),
        ("score == high", "filter 'score == high': score holds numbers, and 'high' is none"),
        ("feasible == 1", "filter 'feasible == 1': feasible is true or false, but not '1'"),
    ],
)
def test_what_is_no_condition_is_a_sentence(sentence: str, message: str) -> None:
    with pytest.raises(PhasetuneError) as raised:
        rows(sentence)
    (problem,) = raised.value.problems
    assert problem.startswith(message)


def test_without_a_baseline_nothing_is_relative_to_it() -> None:
    table: Any = TABLE.assign(baseline=False)
    with pytest.raises(PhasetuneError, match="no phase has a baseline to compare with; name a num"):
        rows_where(table, "score >= 0.9 * baseline", group_by=["phase"])
