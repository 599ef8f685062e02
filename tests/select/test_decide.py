import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from phasetune.errors import SelectionError
from phasetune.select.decide import Outcome, decide
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule, Standing
from phasetune.study.constraint import parse_constraint
from phasetune.study.schema import Objective

MakeScore = Callable[..., TrialScore]
MakeRule = Callable[..., Rule]


@pytest.mark.parametrize(
    ("mode", "means", "winner", "runner_up"),
    [
        ("max", {"a": 0.1, "b": 0.3, "c": 0.2}, "b", "c"),
        ("min", {"a": 0.1, "b": 0.3, "c": 0.2}, "a", "c"),
        ("max", {"a": -3.0, "b": -1.0, "c": -2.0}, "b", "c"),
        ("max", {"a": 0.1, "b": math.nan, "c": 0.05}, "a", "c"),
        ("min", {"a": 0.1, "b": -math.inf, "c": 0.2}, "a", "c"),
        ("max", {"a": 0.1, "b": math.inf, "c": math.nan}, "a", None),
        ("max", {"a": 0.1}, "a", None),
    ],
)
def test_the_best_finite_mean_wins(
    score: MakeScore,
    rule: MakeRule,
    mode: str,
    means: dict[str, float],
    winner: str,
    runner_up: str | None,
) -> None:
    scores = [score(name, i, mean) for i, (name, mean) in enumerate(means.items())]
    decision = decide(scores, rule(mode=mode))
    assert decision.outcome is Outcome.WON
    assert (decision.winner, decision.leader) == (winner, winner)
    assert decision.runner_up == runner_up
    for name, mean in means.items():
        assert (decision.verdict(name).standing is Standing.FEASIBLE) is math.isfinite(mean)


def test_means_over_replicates_are_compared_and_no_single_one(
    score: MakeScore, rule: MakeRule
) -> None:
    scores = [score("a", 0, 0.9, 0.1, 0.1), score("b", 1, 0.5, 0.5, 0.5)]
    assert decide(scores, rule()).winner == "b"


def test_what_is_infeasible_or_ineligible_never_wins(score: MakeScore, rule: MakeRule) -> None:
    scores = [
        score("broken", 0, 0.99, recall=0.9, ineligible="replicate 0: it broke"),
        score("infeasible", 1, 0.98, recall=0.29),
        score("unknown", 2, 0.97, recall=math.nan),
        score("on the bound", 3, 0.5, recall=0.30),
        score("feasible", 4, 0.4, recall=0.9),
    ]
    decision = decide(scores, rule("recall >= 0.30", ties="prefer_first"))
    assert (decision.winner, decision.runner_up) == ("on the bound", "feasible")
    assert [str(verdict.standing) for verdict in decision.verdicts] == [
        "ineligible",
        "infeasible",
        "ineligible",
        "feasible",
        "feasible",
    ]
    assert set(decision.differences) == {"feasible"}


@pytest.mark.parametrize("order", itertools.permutations(range(4)))
def test_exact_equality_goes_to_file_order_however_scores_are_given(
    score: MakeScore, rule: MakeRule, order: tuple[int, ...]
) -> None:
    scores = [
        score("low", 0, 0.1, 0.1),
        score("first", 1, 0.3, 0.7),
        score("second", 2, 0.3, 0.7),
        score("third", 3, 0.7, 0.3),
    ]
    decision = decide([scores[i] for i in order], rule())
    assert (decision.winner, decision.runner_up) == ("first", "second")
    assert decision.ties == ("second", "third")


def test_equality_in_file_order_too_goes_to_the_key(score: MakeScore, rule: MakeRule) -> None:
    scores = [score(name, 0, 0.5) for name in ("b", "a", "c")]
    assert decide(scores, rule()).winner == "a"


@pytest.mark.parametrize(
    ("leader", "other", "tied"),
    [
        ([0.75, 0.50], [0.50, 0.50], True),  # 0.125 behind, standard error 0.125
        ([0.75, 0.50], [0.50, 0.4375], False),
        ([0.75, 0.75], [0.50, 0.50], False),  # always the same difference: no noise at all
        ([0.75, 0.25, 0.75], [0.25, 0.75, 0.5], True),
        ([0.75], [0.7499999], False),  # one replicate says nothing of noise
        ([0.75], [0.75], True),
    ],
)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_ties_are_within_one_standard_error_of_the_paired_difference(
    score: MakeScore, rule: MakeRule, leader: list[float], other: list[float], tied: bool, mode: str
) -> None:
    sign = 1 if mode == "max" else -1
    scores = [
        score("other", 1, *[sign * value for value in other]),
        score("leader", 0, *[sign * value for value in leader]),
    ]
    decision = decide(scores, rule(mode=mode))
    assert (decision.leader, decision.winner) == ("leader", "leader")
    assert decision.ties == (("other",) if tied else ())


@pytest.mark.parametrize(("ties", "winner"), [("report", "best"), ("prefer_first", "tied")])
def test_ties_are_reported_or_the_first_in_the_file_wins(
    score: MakeScore, rule: MakeRule, ties: str, winner: str
) -> None:
    scores = [
        score("far", 0, 0.25, 0.25),
        score("infeasible", 1, 0.75, 0.50, recall=0.0),
        score("tied", 2, 0.50, 0.50),
        score("also tied", 3, 0.50, 0.50),
        score("best", 4, 0.75, 0.50),
    ]
    scores = [s if s.name == "infeasible" else _with_recall(s, 1.0) for s in scores]
    decision = decide(scores, rule("recall >= 0.5", ties=ties))
    assert decision.leader == "best"
    assert decision.ties == ("tied", "also tied")
    assert decision.winner == winner


def _with_recall(score: TrialScore, recall: float) -> TrialScore:
    replicates = [{**replicate, "recall": recall} for replicate in score.replicates]
    return TrialScore(name=score.name, index=score.index, key=score.key, replicates=replicates)


def test_prefer_first_keeps_a_leader_that_is_first(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("best", 0, 0.75, 0.50), score("tied", 1, 0.50, 0.50)]
    assert decide(scores, rule(ties="prefer_first")).winner == "best"


def test_differences_are_leader_minus_trial(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("a", 0, 0.25, 0.75), score("b", 1, 0.75, 0.75)]
    (difference,) = decide(scores, rule()).differences.values()
    assert (difference.mean, difference.values) == (0.25, (0.5, 0.0))


@pytest.mark.parametrize(
    ("if_infeasible", "outcome", "winner"),
    [
        ("stop", Outcome.NONE_FEASIBLE, None),
        ("least_violation", Outcome.LEAST_VIOLATION, "closest"),
        ("keep_carried", Outcome.KEPT_CARRIED, None),
    ],
)
def test_without_a_feasible_trial_the_closest_is_named(
    score: MakeScore, rule: MakeRule, if_infeasible: str, outcome: Outcome, winner: str | None
) -> None:
    scores = [
        score("best", 0, 0.9, recall=0.2, cost=10.0),
        score("closest", 1, 0.1, recall=0.4, cost=10.0),
        score("as close", 2, 0.1, recall=0.4, cost=10.0),
        score("cost", 3, 0.8, recall=0.9, cost=100.0),
        score("broken", 4, 0.9, recall=0.45, cost=1.0, ineligible="it broke"),
        score("base", 5, 0.9, recall=0.49, cost=1.0, baseline=True, candidate=False),
    ]
    decision = decide(scores, rule("recall >= 0.5", "cost <= 20", if_infeasible=if_infeasible))
    assert (decision.outcome, decision.winner, decision.closest) == (outcome, winner, "closest")
    assert decision.verdict("closest").reason == "recall >= 0.5 by 0.1"
    assert (decision.leader, decision.runner_up, decision.ties) == (None, None, ())


def test_equally_close_trials_are_ranked_by_the_objective(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("a", 0, 0.1, recall=0.25), score("b", 1, 0.9, recall=0.25)]
    assert decide(scores, rule("recall >= 0.5")).closest == "b"
    assert decide(scores, rule("recall >= 0.5", mode="min")).closest == "a"


@pytest.mark.parametrize("if_infeasible", ["stop", "least_violation", "keep_carried"])
def test_where_nothing_can_be_judged_nothing_is_decided(
    score: MakeScore, rule: MakeRule, if_infeasible: str
) -> None:
    scores = [score("a", 0, math.nan), score("b", 1, 0.5, ineligible="it broke")]
    decision = decide(scores, rule(if_infeasible=if_infeasible))
    assert decision.outcome is Outcome.NONE_ELIGIBLE
    assert (decision.winner, decision.closest) == (None, None)


@pytest.mark.parametrize("accuracy", [0.9, 0.5])
def test_an_extra_baseline_can_t_win(score: MakeScore, rule: MakeRule, accuracy: float) -> None:
    extra = score("base", 1, accuracy, baseline=True, candidate=False)
    decision = decide(
        [score("a", 0, 0.5), extra], rule("accuracy >= 0.5 * baseline", ties="prefer_first")
    )
    assert decision.winner == "a"
    assert (decision.runner_up, decision.ties, decision.differences) == (None, (), {})
    assert decision.baseline is not None
    assert decision.baseline.name == "base"


def test_a_baseline_that_is_a_point_can_win(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("a", 0, 0.5), score("base", 1, 0.6, baseline=True)]
    assert decide(scores, rule("accuracy >= baseline")).winner == "base"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "needs at least one trial to decide on, but has none"),
        ([("base", 0, [0.5], {"baseline": True, "candidate": False})], "needs at least one trial"),
        (
            [("a", 0, [0.5, 0.6], {}), ("b", 1, [0.5], {})],
            r"must have equally many replicates, but have \[1, 2\]",
        ),
        (
            [("a", 0, [0.5, 0.6], {}), ("b", 1, [0.5], {"baseline": True, "candidate": False})],
            "equally many replicates",
        ),
    ],
)
def test_scores_that_don_t_fit_together_are_refused(
    score: MakeScore,
    rule: MakeRule,
    scores: Sequence[tuple[str, int, list[float], dict[str, Any]]],
    message: str,
) -> None:
    made = [score(name, index, *values, **fields) for name, index, values, fields in scores]
    with pytest.raises(SelectionError, match=message):
        decide(made, rule())


def test_an_ineligible_trial_may_have_fewer_replicates(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("a", 0, 0.5, ineligible="replicate 1: it broke"), score("b", 1, 0.1, 0.2)]
    assert decide(scores, rule()).winner == "b"


def test_a_decision_leaves_its_input_alone_and_is_the_same_twice(
    score: MakeScore, rule: MakeRule
) -> None:
    scores = [score("a", 1, 0.5, 0.7, recall=0.2), score("b", 0, 0.5, 0.6, recall=0.9)]
    before, constrained = copy.deepcopy(scores), rule("recall >= 0.1", ties="prefer_first")
    assert decide(scores, constrained) == decide(scores, constrained)
    assert scores == before


VALUES = some.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 0.1, 0.3, math.nan])


@given(
    replicates=some.integers(1, 4).flatmap(
        lambda count: some.lists(
            some.lists(some.tuples(VALUES, VALUES), min_size=count, max_size=count),
            min_size=1,
            max_size=6,
        )
    ),
    mode=some.sampled_from(["max", "min"]),
    bound=VALUES.filter(math.isfinite),
    ties=some.sampled_from(["report", "prefer_first"]),
)
def test_the_winner_is_feasible_and_none_that_is_feasible_is_better(
    replicates: list[list[tuple[float, float]]], mode: str, bound: float, ties: str
) -> None:
    scores = [
        TrialScore(
            name=f"t{i}",
            index=i,
            key=str(i),
            replicates=[{"accuracy": a, "recall": r} for a, r in pairs],
        )
        for i, pairs in enumerate(replicates)
    ]
    rule = Rule(
        objective=Objective.model_validate({"metric": "accuracy", "mode": mode}),
        constraints=(parse_constraint(f"recall >= {bound}"),),
        ties=ties,
    )
    decision = decide(scores, rule)
    feasible = {
        verdict.name: rule.sign * verdict.metrics["accuracy"].mean
        for verdict in decision.verdicts
        if verdict.standing is Standing.FEASIBLE
    }
    for name in feasible:
        recalls = [r for _, r in replicates[int(name[1:])]]
        assert math.fsum(recalls) / len(recalls) >= bound - 1e-12
    assert (decision.winner is None) == (not feasible)
    if decision.winner is not None and decision.leader is not None:
        best = max(feasible.values())
        assert feasible[decision.leader] == best
        assert next(name for name, mean in feasible.items() if mean == best) == decision.leader
        assert decision.winner == (
            decision.leader
            if ties == "report"
            else min([decision.leader, *decision.ties], key=lambda name: int(name[1:]))
        )
