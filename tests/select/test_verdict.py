import math
from collections.abc import Callable
from typing import Any

import pytest

from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule, Standing, judge
from phasetune.study.schema import Study

MakeScore = Callable[..., TrialScore]
MakeRule = Callable[..., Rule]


@pytest.mark.parametrize(
    ("constraint", "recall", "standing", "margin"),
    [
        ("recall >= 0.30", [0.30], "feasible", 0.0),
        ("recall >= 0.30", [0.30, 0.30, 0.30], "feasible", 0.0),
        ("recall >= 0.30", [0.29, 0.31], "feasible", 0.0),
        ("recall >= 0.30", [0.2999999], "infeasible", -1e-7),
        ("recall >= 0.30", [0.9, 0.1], "feasible", 0.2),
        ("recall <= 0.30", [0.30], "feasible", 0.0),
        ("recall <= 0.30", [0.31], "infeasible", -0.01),
        ("recall >= -1", [-1.0], "feasible", 0.0),
    ],
)
def test_constraints_hold_for_the_mean_and_their_bound_is_feasible(
    score: MakeScore,
    rule: MakeRule,
    constraint: str,
    recall: list[float],
    standing: str,
    margin: float,
) -> None:
    trial = score("a", 0, *[0.5] * len(recall), recall=recall)
    (verdict,) = judge([trial], rule(constraint))
    assert verdict.standing == standing
    assert verdict.margins == {constraint: pytest.approx(margin, abs=1e-12)}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"accuracy": [math.nan]}, "accuracy is nan"),
        ({"accuracy": [0.5, math.inf]}, "accuracy is inf"),
        ({"accuracy": [0.5], "recall": math.nan}, "recall is nan"),
        ({"accuracy": [0.5, 0.5], "recall": [0.5, -math.inf]}, "recall is -inf"),
        ({"accuracy": []}, "no metric 'accuracy' in every replicate (it has none)"),
        ({"accuracy": [0.5], "ineligible": "replicate 0: it broke"}, "replicate 0: it broke"),
    ],
)
def test_what_can_t_be_judged_is_ineligible_with_the_reason(
    score: MakeScore, rule: MakeRule, fields: dict[str, Any], reason: str
) -> None:
    accuracy = fields.pop("accuracy")
    (verdict,) = judge(
        [score("a", 0, *accuracy, **{"recall": 0.9, **fields})], rule("recall >= 0.5")
    )
    assert (verdict.standing, verdict.reason) == (Standing.INELIGIBLE, reason)


def test_a_missing_metric_is_told_with_those_that_are_there(rule: MakeRule) -> None:
    replicates = ({"accuracy": 0.5, "loss": 1.0}, {"accuracy": 0.6, "f1": 0.1})
    trial = TrialScore(name="a", index=0, key="k", replicates=replicates)
    (verdict,) = judge([trial], rule("f1 >= 0"))
    assert verdict.reason == "no metric 'f1' in every replicate (it has accuracy, f1, loss)"


@pytest.mark.parametrize(
    ("constraint", "accuracy", "standing"),
    [
        ("accuracy >= baseline", 0.5, "feasible"),
        ("accuracy >= baseline", 0.49, "infeasible"),
        ("accuracy >= 0.5 * baseline", 0.25, "feasible"),
        ("accuracy >= 0.5 * baseline", 0.24, "infeasible"),
        ("accuracy >= baseline - 0.25", 0.25, "feasible"),
        ("accuracy >= baseline + 0.25", 0.74, "infeasible"),
        ("accuracy <= 2 * baseline", 1.0, "feasible"),
        ("accuracy <= 2 * baseline", 1.01, "infeasible"),
    ],
)
@pytest.mark.parametrize("candidate", [True, False])
def test_relative_constraints_compare_with_the_baseline(
    score: MakeScore,
    rule: MakeRule,
    constraint: str,
    accuracy: float,
    standing: str,
    candidate: bool,
) -> None:
    baseline = score("base", 1, 0.5, baseline=True, candidate=candidate)
    verdict, _ = judge([score("a", 0, accuracy), baseline], rule(constraint))
    assert verdict.standing == standing


@pytest.mark.parametrize(
    "baseline",
    [
        None,
        {"accuracy": [0.5], "ineligible": "it broke"},
        {"accuracy": [math.nan]},
        {"accuracy": []},
    ],
)
def test_without_a_baseline_nothing_can_be_compared_with_it(
    score: MakeScore, rule: MakeRule, baseline: dict[str, Any] | None
) -> None:
    scores = [score("a", 0, 0.9)]
    if baseline is not None:
        accuracy = baseline.pop("accuracy")
        scores.append(score("base", 1, *accuracy, baseline=True, candidate=False, **baseline))
    verdicts = judge(scores, rule("accuracy >= 0.9 * baseline"))
    assert verdicts[0].reason == "the baseline has no accuracy to compare with"
    assert {verdict.standing for verdict in verdicts} == {Standing.INELIGIBLE}
    assert judge(scores, rule("accuracy >= 0.9"))[0].standing == Standing.FEASIBLE


@pytest.mark.parametrize(
    ("constraints", "violation", "reason"),
    [
        (["recall >= 0.5"], 0.0, None),
        (["recall >= 1.0"], 0.5, "recall >= 1.0 by 0.5"),
        (["recall >= 1.0", "cost <= 4"], 0.5 + 1.5, "recall >= 1.0 by 0.5; cost <= 4 by 6"),
        (["recall >= 1.0", "cost <= 20"], 0.5, "recall >= 1.0 by 0.5"),
        (["cost <= 0"], 10.0, "cost <= 0 by 10"),
        (["cost >= 2 * baseline"], 0.5, "cost >= 2 * baseline by 10"),
    ],
)
def test_a_violation_adds_the_shortfalls_relative_to_their_bounds(
    score: MakeScore, rule: MakeRule, constraints: list[str], violation: float, reason: str | None
) -> None:
    trial = score("a", 0, 0.5, recall=0.5, cost=10.0, baseline=True)
    (verdict,) = judge([trial], rule(*constraints))
    assert verdict.violation == pytest.approx(violation)
    assert verdict.reason == reason


def test_a_study_s_rule_is_what_it_says() -> None:
    study = Study.model_validate(
        {
            "name": "s",
            "workload": "w",
            "objective": {"metric": "loss", "mode": "min"},
            "constraints": ["recall  >= 0.5"],
            "ties": "prefer_first",
            "if_infeasible": "keep_carried",
            "phases": [{"name": "one", "grid": {"a.b": [1]}}],
        }
    )
    rule = Rule.of(study)
    assert [constraint.text for constraint in rule.constraints] == ["recall >= 0.5"]
    assert (rule.objective.metric, rule.sign) == ("loss", -1.0)
    assert (rule.ties, rule.if_infeasible) == ("prefer_first", "keep_carried")
