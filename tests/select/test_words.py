import math
from collections.abc import Callable
from typing import Any

import pytest

from phasetune.select.decide import decide
from phasetune.select.record import decision_record
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule
from phasetune.select.words import decision_sentences, value_text

MakeScore = Callable[..., TrialScore]
MakeRule = Callable[..., Rule]

BASELINE: dict[str, Any] = {"baseline": True, "candidate": False}


def recall(value: float) -> dict[str, Any]:
    return {"recall": value}


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        ({"mean": 0.67419, "sem": 0.00312, "values": [0] * 5}, "0.6742 ± 0.0031 (n=5)"),
        ({"mean": 0.5, "sem": None, "values": [0.5]}, "0.5000"),
        ({"mean": "nan", "sem": None, "values": ["nan"]}, "nan"),
        ({"mean": 0.5, "sem": 0.0, "values": [0.5, 0.5]}, "0.5000 ± 0.0000 (n=2)"),
    ],
)
def test_a_value_in_words(summary: dict[str, Any], text: str) -> None:
    assert value_text(summary) == text


@pytest.mark.parametrize(
    ("scores", "constraints", "fields", "sentences"),
    [
        ([("a", [0.5], {})], (), {}, ["a wins: best accuracy 0.5000 of 1 trial."]),
        (
            [("a", [0.5], {}), ("b", [0.75], {})],
            (),
            {},
            ["b wins: best accuracy 0.7500 of 2 trials.", "b is 0.2500 ahead of a."],
        ),
        (
            [("a", [0.5], {}), ("b", [0.75], {})],
            (),
            {"mode": "min"},
            ["a wins: best accuracy 0.5000 of 2 trials.", "a is 0.2500 ahead of b."],
        ),
        (
            [("a", [0.5], recall(0.9)), ("b", [0.75], recall(0.1)), ("c", [0.25], recall(0.5))],
            ("recall >= 0.5",),
            {},
            [
                "a wins: best accuracy 0.5000 among the 2 of 3 trials with recall >= 0.5.",
                "a is 0.2500 ahead of c.",
            ],
        ),
        (
            [("a", [0.5], recall(0.9))],
            ("recall >= 0.5", "recall <= 1.0"),
            {},
            [
                (
                    "a wins: best accuracy 0.5000 among the 1 of 1 trial with recall >= 0.5 and "
                    "recall <= 1.0."
                )
            ],
        ),
        (
            [("a", [0.5, 0.5], {}), ("b", [0.75, 0.5], {}), ("c", [0.25, 0.25], {})],
            (),
            {},
            [
                "b wins: best accuracy 0.6250 ± 0.1250 (n=2) of 3 trials.",
                "Within noise of b (one standard error, or equal): a.",
                "b is 0.1250 ± 0.1250 (n=2) ahead of a.",
            ],
        ),
        (
            [("a", [0.5, 0.5], {}), ("b", [0.75, 0.5], {})],
            (),
            {"ties": "prefer_first"},
            [
                "a wins: first in the file among ties, accuracy 0.5000 ± 0.0000 (n=2) of 2 trials.",
                "Within noise of b (one standard error, or equal): a.",
                "b is 0.1250 ± 0.1250 (n=2) ahead of a.",
            ],
        ),
        (
            [("a", [0.5], {}), ("b", [0.5], {})],
            (),
            {},
            [
                "a wins: best accuracy 0.5000 of 2 trials.",
                "Within noise of a (one standard error, or equal): b.",
                "a and b are equal; the first in the file leads.",
            ],
        ),
        (
            [("a", [0.75], {}), ("base", [0.5], BASELINE)],
            ("accuracy >= 0.5 * baseline",),
            {},
            [
                (
                    "a wins: best accuracy 0.7500 among the 1 of 1 trial with "
                    "accuracy >= 0.5 * baseline."
                ),
                "Against the baseline (0.5000): +0.2500.",
            ],
        ),
        (
            [("a", [0.5], {}), ("base", [0.75], BASELINE)],
            (),
            {},
            [
                "a wins: best accuracy 0.5000 of 1 trial.",
                "Against the baseline (0.7500): -0.2500.",
            ],
        ),
        (
            [("a", [0.75], {"baseline": True})],
            (),
            {},
            ["a wins: best accuracy 0.7500 of 1 trial.", "The winner is the baseline itself."],
        ),
        (
            [("a", [0.75], {}), ("base", [math.nan], BASELINE)],
            (),
            {},
            [
                "a wins: best accuracy 0.7500 of 1 trial.",
                "The baseline could not be judged: accuracy is nan.",
            ],
        ),
        (
            [("a", [0.75], {}), ("base", [], {**BASELINE, "ineligible": "finetune failed"})],
            (),
            {},
            [
                "a wins: best accuracy 0.7500 of 1 trial.",
                "The baseline could not be judged: finetune failed.",
            ],
        ),
        (
            [("a", [math.nan], {})],
            (),
            {},
            ["No trial could be judged, so nothing was decided."],
        ),
        *[
            (
                [("a", [0.5], recall(0.4)), ("b", [0.9], recall(0.1))],
                ("recall >= 0.5",),
                {"if_infeasible": name},
                [
                    (
                        "No trial meets the constraints; a came closest, missing "
                        "recall >= 0.5 by 0.1; "
                        f"{follows} (if_infeasible: {name})."
                    )
                ],
            )
            for name, follows in (
                ("stop", "nothing was decided"),
                ("least_violation", "it was taken"),
                ("keep_carried", "the carried settings were kept"),
            )
        ],
    ],
)
def test_a_decision_in_words(
    score: MakeScore,
    rule: MakeRule,
    scores: list[tuple[str, list[float], dict[str, Any]]],
    constraints: tuple[str, ...],
    fields: dict[str, str],
    sentences: list[str],
) -> None:
    made = [score(name, i, *values, **more) for i, (name, values, more) in enumerate(scores)]
    assert decision_sentences(_record(made, rule(*constraints, **fields))) == sentences


def test_mixed_environment_classes_are_told(score: MakeScore, rule: MakeRule) -> None:
    scores = [score("a", 0, 0.5)]
    one = decision_sentences(_record(scores, rule(), devices=("cpu",)))
    two = decision_sentences(_record(scores, rule(), devices=("cpu", "cuda")))
    assert two[:-1] == one
    assert "different environment classes" in two[-1]
    assert "--strict-environment" in two[-1]


def _record(
    scores: list[TrialScore], rule: Rule, *, devices: tuple[str, ...] = ("cpu",)
) -> dict[str, Any]:
    about: dict[str, Any] = {"point": {}, "settings": {}, "note": None, "expect": {}}
    return decision_record(
        decide(scores, rule),
        phase="one",
        inputs="",
        rule=rule,
        carried={},
        trials={score.name: about for score in scores},
        environments=[{"device": device} for device in devices],
    )
