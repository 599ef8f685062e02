"""Each check: what makes it speak, and what is just short of that."""

import re
from pathlib import Path
from typing import Any

import pytest

from phasetune.report.page.health import CHECKS, Severity, findings
from phasetune.select.record import summary_record
from phasetune.select.scores import paired_difference, summarise

Document = dict[str, Any]


def trial(name: str, *scores: float, **changes: Any) -> Document:
    """A trial with a score per replicate; more metrics as `metrics={"name": [values]}`."""
    more = changes.pop("metrics", {})
    metrics = {"score": list(scores), **more}
    return {
        "name": name,
        "point": {},
        "candidate": True,
        "baseline": False,
        "standing": "feasible",
        "reason": None,
        "margins": {},
        "expect": {},
        "behind_leader": None,
        "metrics": {metric: summary_record(summarise(v)) for metric, v in metrics.items()},
        **changes,
    }


def phase(*trials: Document, **changes: Any) -> Document:
    """A phase that the first trial won; the second is its runner-up."""
    first, *others = trials
    for other in others:
        values = (t["metrics"]["score"]["values"] for t in (first, other))
        other["behind_leader"] = summary_record(paired_difference(*values))
    return {
        "phase": "one",
        "outcome": "won",
        "winner": first["name"],
        "leader": first["name"],
        "runner_up": others[0]["name"] if others else None,
        "closest": None,
        "ties": [],
        "environments": [{}],
        "inexact": [],
        "rule": {"constraints": [], "objective": {"metric": "score", "mode": "max"}},
        "trials": list(trials),
        **changes,
    }


def report(*phases: Document, test: Any = None, on: str = "validation", **changes: Any) -> Document:
    final = None if test is None else {"state": "done", "reason": None, "test": test}
    return {
        "study": {
            "objective": {"metric": "score", "mode": "max", "on": on},
            "replicates": {"seeds": 2, "folds": None},
        },
        "phases": list(phases),
        "final": final,
        **changes,
    }


def counts(*rows: tuple[int, ...]) -> dict[str, float]:
    return {f"confusion_{i}_{j}": float(n) for i, r in enumerate(rows) for j, n in enumerate(r)}


def said(document: Document) -> dict[str, str]:
    return {finding.check: finding.sentence for finding in findings(document)}


CLEAR = phase(trial("a", 0.9, 0.91), trial("b", 0.1, 0.12))
AXIS = [trial(str(n), 0.5 - n / 10, 0.51 - n / 10, point={"size": n}) for n in (1, 2, 3)]
MISSED = {"margins": {"other >= 1": -0.5}, "standing": "infeasible"}
RULE = {"constraints": ["other >= 1"], "objective": {"metric": "score", "mode": "max"}}
EXTRA = {"baseline": True, "candidate": False}
NOBODY = {"outcome": "none_eligible", "winner": None, "leader": None}
MIXED = {"environments": [{"device": "cpu"}, {"device": "cuda"}]}
COLLAPSED = {"predicted_classes": [2.0, 1.0]}
LOST = {"predicted_classes": [2.0, 2.0], "class_1_recall": [0.4, 0.0]}


def test_a_clear_winner_on_enough_data_has_no_findings() -> None:
    assert findings(report(CLEAR, test={"score": 0.9, **counts((60, 0), (0, 60))})) == ()


@pytest.mark.parametrize(
    ("check", "document", "words"),
    [
        ("chosen_on_test", report(CLEAR, on="test"), "chosen on the test data"),
        (
            "class_collapse",
            report(phase(trial("a", 0.9, 0.9, metrics=COLLAPSED))),
            "a, the winner of phase one, predicts a single class in at least one replicate",
        ),
        (
            "class_collapse",
            report(phase(trial("a", 0.9, 0.9, metrics=LOST))),
            "never finds class 1 in at least one replicate",
        ),
        (
            "class_collapse",
            report(CLEAR, test={"class_0_accuracy": 0.9, "class_12_accuracy": 0.0}),
            "The final model never finds class 12 on the test data",
        ),
        (
            "class_collapse",
            report(CLEAR, test={"predicted_classes": 1.0}),
            "The final model predicts a single class on the test data",
        ),
        ("nothing_feasible", report(phase(trial("a", 0.1), outcome="none_feasible")), "no trial"),
        (
            "constraint_mostly_violated",
            report(
                phase(*(trial(n, 0.1, 0.2, **MISSED) for n in "abcd"), trial("e", 0, 1), rule=RULE)
            ),
            "4 of 5 trials miss other >= 1",
        ),
        (
            "failed_trials",
            report(phase(trial("a", 0.9), trial("b", 0.1, standing="ineligible"))),
            "1 of 2 trials could not be judged: b. Had they not failed, another one might have won",
        ),
        (
            "failed_trials",
            report(phase(trial("a", 0.9, standing="ineligible"), **NOBODY)),
            "judged: a. Had they not failed, one of them might have won.",
        ),
        (
            "final_failed",
            report(CLEAR, final={"state": "failed", "reason": "no memory", "test": None}),
            "The final model failed: no memory.",
        ),
        (
            "test_below_validation",
            report(CLEAR, test={"score": 0.5}),
            "scores score 0.5000, but validation promised 0.9050",
        ),
        (
            "within_noise",
            report(phase(trial("a", 0.9, 0.8), trial("b", 0.9, 0.8), ties=["b"])),
            "within noise of other trials in one (1 other)",
        ),
        (
            "lead_not_clear",
            report(phase(trial("a", 0.9, 0.8), trial("b", 0.5, 0.75))),
            "the lead over b is more than one standard error, but its 95% interval includes zero",
        ),
        (
            "one_replicate",
            report(
                CLEAR,
                study={**report()["study"], "replicates": {"seeds": 1, "folds": None}},
            ),
            "tried once",
        ),
        (
            "worse_than_baseline",
            report(phase(trial("a", 0.8, 0.7), trial("b", 0.9, 0.9, **EXTRA), runner_up=None)),
            "the baseline is better than the winner (0.9000 against 0.7500)",
        ),
        ("few_test_rows", report(CLEAR, test=counts((30, 20), (20, 29))), "The test has 99 rows"),
        ("few_test_rows", report(CLEAR, test=counts((90, 5), (10, 9))), "rows of class 1 (19)"),
        ("mixed_environments", report({**CLEAR, **MIXED}), "2 different environment classes"),
        ("inexact_runs", report({**CLEAR, "inexact": ["x was cut"]}), "bit for bit: x was cut."),
        ("winner_at_edge", report(phase(*AXIS)), "the smallest size that was tried (1)"),
        (
            "expectations_missed",
            report(phase(trial("a", 0.9, 0.9, expect={"score": [0.1, 0.2], "speed": [1, 2]}))),
            "2 of 2 expected ranges were missed: a.",
        ),
    ],
)
def test_what_makes_a_check_speak(check: str, document: Document, words: str) -> None:
    assert words in said(document)[check]


@pytest.mark.parametrize(
    ("check", "document"),
    [
        pytest.param(
            "constraint_mostly_violated",
            report(
                phase(*(trial(n, 0.1, 0.2, **MISSED) for n in "abc"), trial("e", 0, 1), rule=RULE)
            ),
            id="three of four is not nearly all",
        ),
        pytest.param(
            "test_below_validation",
            report(phase(trial("a", 0.9, 0.7)), test={"score": 0.7}),
            id="a drop within the noise",
        ),
        pytest.param(
            "test_below_validation", report(CLEAR, test={"score": 0.99}), id="a better test"
        ),
        pytest.param(
            "test_below_validation",
            report(phase(trial("a", 0.3, 0.1 + 0.2)), test={"score": 0.1}),
            id="noise of rounding alone",
        ),
        pytest.param(
            "class_collapse",
            report(CLEAR, test={"class_0_accuracy": 0.1, "class_0_precision": 0.0}),
            id="a class that is found",
        ),
        pytest.param(
            "test_below_validation",
            report(phase(trial("a", 0.9)), test={"score": 0.1}),
            id="no noise is known",
        ),
        pytest.param(
            "worse_than_baseline",
            report(phase(trial("a", 0.8, 0.7), trial("b", 0.7, 0.7, **EXTRA), runner_up=None)),
            id="a baseline that is worse",
        ),
        pytest.param(
            "worse_than_baseline",
            report(phase(trial("a", 0.8), trial("b", 0.9, **{**EXTRA, **MISSED}), runner_up=None)),
            id="a baseline that is infeasible",
        ),
        pytest.param("few_test_rows", report(CLEAR, test=counts((80, 0), (0, 20))), id="enough"),
        pytest.param("few_test_rows", report(CLEAR, test={"score": 0.9}), id="no counts"),
        pytest.param("winner_at_edge", report(phase(*AXIS[:2])), id="two values are all edges"),
        pytest.param(
            "winner_at_edge", report(phase(AXIS[1], AXIS[0], AXIS[2])), id="the middle one won"
        ),
        pytest.param(
            "winner_at_edge",
            report(phase(*(trial(n, 1, 2, point={"mask": n}) for n in "abc"))),
            id="words have no edge",
        ),
        pytest.param(
            "winner_at_edge",
            report(phase(*(trial(str(n), 1, 2, point={"sizes": [n]}) for n in range(3)))),
            id="lists have no edge",
        ),
        pytest.param(
            "expectations_missed",
            report(phase(trial("a", 0.9, 0.9, expect={"score": [0.9, 0.9]}))),
            id="the bound is within",
        ),
        pytest.param(
            "lead_not_clear",
            report(phase(trial("a", 0.9, 0.8), trial("b", 0.5, 0.75), ties=["b"])),
            id="a tie is said as one",
        ),
    ],
)
def test_what_is_just_short_of_it(check: str, document: Document) -> None:
    assert check not in said(document)


def test_what_was_taken_though_infeasible_is_called_no_winner() -> None:
    taken = {"outcome": "least_violation", "leader": None, "runner_up": None}
    collapsed = trial("a", 0.9, 0.9, metrics=COLLAPSED, point={"size": 1})
    others = AXIS[1:]
    found = said(report(phase(collapsed, *others, **taken)))
    assert found["class_collapse"].startswith("a, the choice of phase one, predicts a single")
    assert found["winner_at_edge"].startswith("In phase one the choice has the smallest size")


def test_where_nobody_won_no_winner_was_picked_among_few() -> None:
    trials = [trial(n, 0.1, 0.2, **MISSED) for n in "abcd"]
    left = trial("e", 0.3, 0.4, standing="infeasible")
    document = report(phase(*trials, left, rule=RULE, outcome="none_feasible", winner=None))
    assert said(document)["constraint_mostly_violated"].endswith("4 of 5 trials miss other >= 1.")


def test_where_less_is_better_a_higher_test_is_worse() -> None:
    objective = {"metric": "score", "mode": "min", "on": "validation"}
    document = report(CLEAR, test={"score": 2.0})
    document["study"]["objective"] = objective
    assert "test_below_validation" in said(document)


def test_warnings_come_before_notes() -> None:
    document = report(phase(*AXIS, ties=["2"]), on="test")
    severities = [finding.severity for finding in findings(document)]
    assert severities == sorted(severities, key=[Severity.WARNING, Severity.NOTE].index)
    assert {*severities} == {Severity.WARNING, Severity.NOTE}


def test_every_check_says_what_it_is_about() -> None:
    assert not [check.__name__ for check in CHECKS if not check.__doc__]


def test_the_guide_names_every_check() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    told = re.findall(r"^\| `(\w+)`( \(note\))? \|", guide, re.MULTILINE)
    notes = {name: Severity.NOTE if note else Severity.WARNING for name, note in told}
    assert notes == {check.__name__: severity for check, severity in CHECKS.items()}
