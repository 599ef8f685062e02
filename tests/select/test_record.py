from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from phasetune.select.decide import decide
from phasetune.select.record import carried_settings, carries, decision_record, inputs_record
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule
from phasetune.store.documents import document_digest, read_document, write_document

MakeScore = Callable[..., TrialScore]
MakeRule = Callable[..., Rule]

CARRIED = {"finetune.sigma": 0.1, "finetune.heads": 8}
TRIALS = {
    name: {
        "point": {"finetune.sigma": sigma},
        "settings": {"finetune.sigma": sigma, "finetune.heads": 8},
        "note": None,
        "expect": {},
    }
    for name, sigma in (("a", 0.2), ("b", 0.3))
}


@pytest.fixture
def inputs(score: MakeScore, rule: MakeRule) -> Callable[..., str]:
    """The digest of a decision's inputs; keywords replace one of them."""

    def make(**changes: Any) -> str:
        given = {
            "carried": CARRIED,
            "points": {name: trial["point"] for name, trial in TRIALS.items()},
            "rule": rule("recall >= 0.5"),
            "scores": [score("a", 0, 0.5, recall=0.9), score("b", 1, 0.6, recall=0.9)],
        }
        return document_digest(inputs_record(**{**given, **changes}))

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {"carried": {**CARRIED, "finetune.heads": 4}},
        {"points": {"a": {"finetune.sigma": 0.2}, "b": {"finetune.sigma": 0.4}}},
        {"points": {"a": {"finetune.sigma": 0.2}, "c": {"finetune.sigma": 0.3}}},
    ],
)
def test_the_digest_changes_with_settings_and_points(
    inputs: Callable[..., str], changes: dict[str, Any]
) -> None:
    assert inputs(**changes) != inputs()


@pytest.mark.parametrize(
    ("constraints", "fields"),
    [
        ((), {}),
        (("recall >= 0.6",), {}),
        (("recall >= 0.5", "recall >= 0.4"), {}),
        (("recall >= 0.5",), {"mode": "min"}),
        (("recall >= 0.5",), {"metric": "recall"}),
        (("recall >= 0.5",), {"ties": "prefer_first"}),
        (("recall >= 0.5",), {"if_infeasible": "keep_carried"}),
    ],
)
def test_the_digest_changes_with_the_rule(
    inputs: Callable[..., str],
    rule: MakeRule,
    constraints: tuple[str, ...],
    fields: dict[str, str],
) -> None:
    assert inputs(rule=rule(*constraints, **fields)) != inputs()
    assert inputs(rule=rule("recall  >=  0.5")) == inputs()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "c"},
        {"index": 2},
        {"key": "another run"},
        {"ineligible": "it broke"},
        {"candidate": False},
        {"baseline": True},
        {"replicates": ({"accuracy": 0.61, "recall": 0.9},)},
        {"replicates": ({"accuracy": 0.6, "recall": 0.9, "loss": 1.0},)},
        {"replicates": ({"accuracy": float("nan"), "recall": 0.9},)},
    ],
)
def test_the_digest_changes_with_the_scores(
    inputs: Callable[..., str], score: MakeScore, change: dict[str, Any]
) -> None:
    first, second = score("a", 0, 0.5, recall=0.9), score("b", 1, 0.6, recall=0.9)
    assert inputs(scores=[first, replace(second, **change)]) != inputs()
    assert inputs(scores=[first]) != inputs()


@pytest.fixture
def record(score: MakeScore, rule: MakeRule, inputs: Callable[..., str]) -> Callable[..., Any]:
    """A decision's document, for recalls of two trials."""

    def make(*recalls: float, trials: Any = TRIALS, **fields: str) -> dict[str, Any]:
        applied = rule("recall >= 0.5", **fields)
        scores = [
            score(name, i, 0.5 + i / 10, recall=recall)
            for i, (name, recall) in enumerate(zip("ab", recalls, strict=True))
        ]
        return decision_record(
            decide(scores, applied),
            phase="one",
            inputs=inputs(rule=applied, scores=scores),
            rule=applied,
            carried=CARRIED,
            trials=trials,
            environments=[{"device": "cpu"}],
        )

    return make


@pytest.mark.parametrize(
    ("recalls", "if_infeasible", "outcome", "winner", "carry", "sigma"),
    [
        ((0.9, 0.9), "stop", "won", "b", True, 0.3),
        ((0.9, 0.1), "stop", "won", "a", True, 0.2),
        ((0.2, 0.1), "stop", "none_feasible", None, False, 0.1),
        ((0.2, 0.1), "least_violation", "least_violation", "a", True, 0.2),
        ((0.2, 0.1), "keep_carried", "kept_carried", None, True, 0.1),
        ((float("nan"), float("nan")), "keep_carried", "none_eligible", None, False, 0.1),
    ],
)
def test_what_later_phases_start_from(
    record: Callable[..., dict[str, Any]],
    recalls: tuple[float, float],
    if_infeasible: str,
    outcome: str,
    winner: str | None,
    carry: bool,
    sigma: float,
) -> None:
    made = record(*recalls, if_infeasible=if_infeasible)
    assert (made["outcome"], made["winner"], carries(made)) == (outcome, winner, carry)
    assert carried_settings(made) == {"finetune.sigma": sigma, "finetune.heads": 8}


def test_a_record_reads_back_as_it_was_written(
    record: Callable[..., dict[str, Any]], tmp_path: Any
) -> None:
    made = record(0.9, 0.1)
    write_document(tmp_path / "decision.json", made)
    read = read_document(tmp_path / "decision.json")
    assert read == made
    assert read is not None
    assert carries(read)


def test_notes_and_expectations_are_shown_but_decide_nothing(
    record: Callable[..., dict[str, Any]],
) -> None:
    about = {"note": "recommended", "expect": {"accuracy": [0.6, 0.7]}}
    told = record(0.9, 0.9, trials={name: {**trial, **about} for name, trial in TRIALS.items()})
    plain = record(0.9, 0.9)
    assert told["inputs"] == plain["inputs"]
    assert told["winner"] == plain["winner"]
    assert [trial["note"] for trial in told["trials"]] == ["recommended", "recommended"]


def test_every_trial_has_its_standing_reason_and_distance(
    record: Callable[..., dict[str, Any]],
) -> None:
    first, second = record(0.9, 0.4)["trials"]
    assert (first["standing"], first["reason"], first["behind_leader"]) == ("feasible", None, None)
    assert (second["standing"], second["reason"]) == ("infeasible", "recall >= 0.5 by 0.1")
    assert second["margins"] == {"recall >= 0.5": pytest.approx(-0.1)}
    assert second["metrics"]["accuracy"] == {"mean": 0.6, "sem": None, "values": [0.6]}
    _, leader = record(0.9, 0.9)["trials"]
    assert leader["behind_leader"] is None
    trailing = record(0.9, 0.9)["trials"][0]["behind_leader"]
    assert trailing["mean"] == pytest.approx(0.1)
