import math

import pytest

from phasetune.errors import StudyError
from phasetune.study.constraint import parse_constraint


@pytest.mark.parametrize(
    ("text", "metric", "baseline", "bound"),
    [
        ("class_1_accuracy >= 0.30", "class_1_accuracy", None, 0.30),
        ("loss<=1e-3", "loss", None, 1e-3),
        ("gain >= -.5", "gain", None, -0.5),
        ("gain >= +2.", "gain", None, 2.0),
        ("top@5/val-1.x >= 3", "top@5/val-1.x", None, 3.0),
        ("accuracy >= baseline", "accuracy", 0.8, 0.8),
        ("accuracy >= 0.95 * baseline", "accuracy", 0.8, 0.95 * 0.8),
        ("accuracy>=0.5*baseline", "accuracy", 0.8, 0.4),
        ("loss <= baseline + 0.02", "loss", 0.5, 0.52),
        ("accuracy >= baseline - 0.02", "accuracy", 0.5, 0.48),
        ("accuracy >= 2 * baseline -  0.5", "accuracy", 0.75, 1.0),
    ],
)
def test_bounds(text: str, metric: str, baseline: float | None, bound: float) -> None:
    rule = parse_constraint(text)
    assert rule.metric == metric
    assert rule.is_relative is (baseline is not None)
    assert rule.resolved_bound(baseline) == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "value", "baseline", "margin"),
    [
        ("accuracy >= 0.3", 0.3, None, 0.0),
        ("loss <= 0.1", 0.1, None, 0.0),
        ("accuracy >= 0.95 * baseline", 0.95 * 0.7, 0.7, 0.0),
        ("accuracy >= baseline", 0.7, 0.7, 0.0),
        ("accuracy >= 0.25", 0.75, None, 0.5),
        ("accuracy >= 0.75", 0.25, None, -0.5),
        ("loss <= 0.25", 0.75, None, -0.5),
        ("loss <= baseline + 0.5", 0.5, 0.25, 0.25),
    ],
)
def test_margins_are_exact(text: str, value: float, baseline: float | None, margin: float) -> None:
    assert parse_constraint(text).margin(value, baseline=baseline) == margin


def test_a_relative_bound_without_baseline_is_unknown() -> None:
    rule = parse_constraint("accuracy >= baseline")
    assert math.isnan(rule.margin(0.5, baseline=None))


def test_spaces_are_normal_in_the_text() -> None:
    assert parse_constraint("  a   >=  1 ").text == "a >= 1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "accuracy > 0.3",
        "accuracy == 0.3",
        "accuracy >= ",
        "accuracy >= high",
        "0.3 <= accuracy",
        "accuracy >= 0.95 baseline",
        "accuracy >= baseline * 0.95",
        "accuracy >= baseline + -0.1",
        "accuracy >= other",
        "accuracy >= 0.3 and loss <= 1",
        "accuracy >= nan",
        "accuracy >= inf",
        "accuracy >= __import__('os')",
    ],
)
def test_other_sentences_are_refused(text: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_constraint(text)
    assert str(caught.value) == (
        f"constraint {text!r} can't be read; write it as 'class_1_accuracy >= 0.30' or "
        "'accuracy >= 0.95 * baseline' (signs: >=, <=)"
    )
