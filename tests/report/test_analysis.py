"""What people read of a study."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from phasetune import StudyOutcome
from phasetune.report.analysis import analysis_text, print_phase_table
from report.conftest import Runner


def one_phase(*points: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "one", "points": list(points)}]


def text_of(outcome: StudyOutcome) -> str:
    text = outcome.paths.analysis.read_text()
    assert text == analysis_text(outcome.report)
    return " ".join(text.split())


def rows(outcome: StudyOutcome) -> list[list[str]]:
    """The tables' rows, cell by cell."""
    lines = outcome.paths.analysis.read_text().splitlines()
    return [re.split(r"\s{2,}", line.strip()) for line in lines if re.search(r"\d{4}   ", line)]


def test_each_phase_has_a_table_with_its_winner_marked(whole: StudyOutcome) -> None:
    assert rows(whole)[:4] == [
        ["value-value=0.2", "0.2000", "1.0000", "feasible"],
        ["*", "value-value=0.6", "0.6000", "1.0000", "feasible"],
        ["value-value=0.4", "0.4000", "1.0000", "feasible"],
        ["value-baseline", "0.4500", "1.0000", "feasible, baseline"],
    ]
    assert len(rows(whole)) == 4 + 3 + 3


@pytest.mark.parametrize(
    "sentence",
    [
        "Study scripted Why? Objective: max score on validation data Constraints: other >= 0.3",
        "Phase value trial score",
        "Phase steps trial score",
        "value-value=0.6 wins: best score 0.6000 among the 3 of 3 trials with other >= 0.3.",
        "value-value=0.6 is 0.2000 ahead of value-value=0.4.",
        "Against the baseline (0.4500): +0.1500.",
        "steps-steps=3 and steps-steps=4 are equal; the first in the file leads.",
        "Within noise of steps-steps=3 (one standard error, or equal): steps-steps=4.",
        "Final settings prepare.value = 0.5 test.value = 0.25 train.steps = 3 train.value = 0.6",
        "best.yaml has them all The winner, trained on all training data, on the test data, once",
        "once score = 0.2500 other = 1.0000",
    ],
)
def test_what_it_says_of_a_whole_study(whole: StudyOutcome, sentence: str) -> None:
    assert sentence in text_of(whole)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"phases": one_phase({"train.other": 0.1}, {"train.value": 0.1})},
            "- one-other=0.1-value=0.5 is infeasible: it misses other >= 0.3 by 0.2.",
        ),
        (
            {"phases": one_phase({"train.fault": "raise"}, {"train.value": 0.1})},
            "is ineligible: replicate 0: train failed: ValueError: scripted failure at step 1.",
        ),
        (
            {"phases": one_phase({"train.fault": "nan"}, {"train.value": 0.1})},
            "- one-fault=nan-value=0.5 is ineligible: score is nan.",
        ),
        (
            {"baseline": {"train.value": 0.6}},
            "The winner is the baseline itself.",
        ),
        (
            {"constraints": ["score >= 0.9"], "if_infeasible": "least_violation"},
            "one-value=0.6 came closest, missing score >= 0.9 by 0.3; it was taken",
        ),
        ({"final": {"refit": True, "test": False}}, "The final model was not tested."),
        (
            {"params": {"test": {"fault": "raise"}}, "final": {}},
            "The final model failed: replicate 0: test failed: ValueError",
        ),
        ({"objective": {"metric": "score", "on": "test"}}, "Warning: Winners are chosen on the"),
    ],
)
def test_what_else_it_may_say(ran: Runner, changes: dict[str, Any], sentence: str) -> None:
    phases = one_phase({"train.value": 0.6}, {"train.value": 0.4})
    no_final = {"refit": False, "test": False}
    outcome = ran(**{"phases": phases, "final": no_final, **changes})
    assert sentence in text_of(outcome)


def test_with_replicates_means_and_differences_have_an_error(ran: Runner) -> None:
    changes = {"params": {"train": {"noise": 0.1}}, "replicates": {"folds": 3}}
    text = text_of(ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}], **changes))
    assert re.search(r"best score 0\.\d{4} ± 0\.\d{4} \(n=3\)", text)
    assert re.search(r"one-value=0\.6 is 0\.\d{4} ± 0\.\d{4} \(n=3\) ahead of", text)


def test_expectations_stand_beside_what_came_out(ran: Runner) -> None:
    expected = ([0.4, 0.5], [0.5, 0.75], [0.6, 0.7], [0.1, 0.2])
    points = [
        {"train.value": 0.5, "train.steps": steps, "expect": {"score": bounds}}
        for steps, bounds in enumerate(expected, start=1)
    ]
    speed = {"train.steps": 5, "expect": {"speed": [1, 2]}}
    text = text_of(ran(phases=one_phase(*points, speed), final={"refit": False, "test": False}))
    for sentence in (
        "- one-steps=1: score 0.5000, within the expected 0.4 to 0.5.",
        "- one-steps=2: score 0.5000, within the expected 0.5 to 0.75.",
        "- one-steps=3: score 0.5000, 0.1000 below the expected 0.6 to 0.7.",
        "- one-steps=4: score 0.5000, 0.3000 above the expected 0.1 to 0.2.",
        "- one-steps=5: expected speed 1 to 2, not observed.",
    ):
        assert sentence in text


def table(outcome: StudyOutcome, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_phase_table(console, outcome.report["phases"][0])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_no_width_cuts_a_word_off(ran: Runner) -> None:
    long = "a_metric_with_quite_a_long_name"
    metrics = [f"{long} >= 0", "other >= 0.3"]
    outcome = ran(constraints=metrics, phases=one_phase({"train.value": 0.5}))
    for width in (30, 40, 50, 60, 80, 120):
        lines = table(outcome, width)
        assert all(len(line) <= width for line in lines)
        said = "".join(line.strip() for line in lines)
        assert not [w for w in (long, "one-value=0.5", "ineligible", "0.5000") if w not in said]
        assert "…" not in said


def test_a_narrow_console_has_lines_instead_of_a_table(whole: StudyOutcome) -> None:
    assert table(whole, 30)[:6] == [
        "- value-value=0.2: feasible",
        "    score 0.2000",
        "    other 1.0000",
        "* value-value=0.6: feasible",
        "    score 0.6000",
        "    other 1.0000",
    ]
    assert table(whole, 80)[0].split() == ["trial", "score", "other", "standing"]
