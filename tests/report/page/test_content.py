"""What a report says, before any format."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import StoreError, StudyOutcome
from phasetune.report.page.content import StudyContent
from phasetune.report.page.sections.blocks import FigurePlace
from phasetune.report.page.sections.steps import Surety
from phasetune.store.paths import StudyPaths
from report.conftest import Runner
from report.page.pages import content_of, one_phase, tables, texts
from stored import cut_off

FOLDS = {"params": {"train": {"noise": 0.1}}, "replicates": {"folds": 3}}
NO_FINAL = {"refit": False, "test": False}


@pytest.fixture(scope="module")
def content(whole: StudyOutcome) -> StudyContent:
    return content_of(whole.paths)


def test_the_answer_comes_first(content: StudyContent) -> None:
    assert (content.name, content.question, content.is_complete) == ("scripted", "Why?", True)
    assert (
        content.asked == "Highest score on validation data with other >= 0.3, one run per setting."
    )
    assert content.answer[0] == "Of 5 settings compared in 3 phases, these are recommended."
    assert [(c.parameter, c.value, c.phase) for c in content.chips] == [
        ("train.value", "0.6", "value"),
        ("prepare.value", "0.5", "preparation"),
        ("train.steps", "3", "steps"),
    ]


def test_the_score_stands_beside_what_validation_promised(content: StudyContent) -> None:
    score = content.score
    assert score is not None
    assert (score.metric, score.test, score.validation) == ("score", 0.25, 0.6)
    assert score.interval is None
    assert "no interval" in score.words


def test_each_step_names_the_winner_of_its_decision(
    whole: StudyOutcome, content: StudyContent
) -> None:
    decided = [json.loads(p.read_text()) for p in whole.paths.root.glob("phases/*/decision.json")]
    winners = {record["phase"]: record["winner"] for record in decided}
    assert {step.phase: step.winner for step in content.steps} == winners
    assert [step.phase for step in content.steps] == ["value", "preparation", "steps"]


@pytest.mark.parametrize(
    ("changes", "surety", "words"),
    [
        pytest.param(
            {"phases": one_phase({"train.value": 0.6}, {"train.value": 0.1})},
            Surety.UNKNOWN,
            "noise unknown",
            id="one replicate",
        ),
        pytest.param(
            {"phases": one_phase({"train.value": 0.9}, {"train.value": 0.1}), **FOLDS},
            Surety.CLEAR,
            "clearly ahead",
            id="far ahead",
        ),
        pytest.param(
            {"phases": one_phase({"train.steps": 2}, {"train.steps": 3})},
            Surety.TIE,
            "within noise of 1 other",
            id="equal",
        ),
        pytest.param(
            {"phases": one_phase({"train.value": 0.6})},
            Surety.UNKNOWN,
            "nothing to compare with",
            id="alone",
        ),
        pytest.param(
            {"constraints": ["other >= 9"], "phases": one_phase({"train.value": 0.6})},
            Surety.NONE,
            "no trial is feasible",
            id="none feasible",
        ),
    ],
)
def test_how_sure_a_decision_is(
    ran: Runner, changes: dict[str, Any], surety: Surety, words: str
) -> None:
    (step,) = content_of(ran(**{"final": NO_FINAL, **changes}).paths).steps
    assert (step.surety, step.words) == (surety, words)


def test_a_winner_that_is_not_the_leader_is_ahead_of_nobody(ran: Runner) -> None:
    phases = one_phase(*({"train.steps": steps} for steps in range(8, 0, -1)))
    outcome = ran(phases=phases, ties="prefer_first", final=NO_FINAL, **FOLDS)
    (record,), (step,) = outcome.report["phases"], content_of(outcome.paths).steps
    assert record["winner"] != record["leader"]
    assert (step.winner, step.ahead, step.surety) == (record["winner"], "", Surety.TIE)


def test_a_lead_has_its_interval_and_the_luck_of_the_best(ran: Runner) -> None:
    phases = one_phase({"train.value": 0.9}, {"train.value": 0.1}, {"train.value": 0.2})
    said = texts(content_of(ran(phases=phases, final=NO_FINAL, **FOLDS).paths), "phase-one")
    assert "Paired over the same 3 folds, the 95% interval of that difference is 0." in said
    assert "zero is outside, so the lead is not explained by noise" in said
    assert "3 settings were compared. Were they all equally good" in said


def test_who_could_not_win_is_named_with_the_reason(ran: Runner) -> None:
    faulty = [{"train.fault": "raise", "train.steps": n} for n in range(1, 8)]
    phases = one_phase({"train.other": 0.1}, {"train.value": 0.1}, *faulty)
    said = texts(content_of(ran(phases=phases, final=NO_FINAL).paths), "phase-one")
    assert "is infeasible: it misses other >= 0.3 by 0.2." in said
    assert "ValueError: scripted failure at step 1" in said
    assert "5 more trials could not win either." in said


def test_the_folded_table_says_what_each_trial_missed(ran: Runner) -> None:
    phases = one_phase({"train.other": 0.1}, {"train.value": 0.1})
    _, full = tables(content_of(ran(phases=phases, final=NO_FINAL).paths), "phase-one")
    missed = [column.title for column in full.columns].index("Missed")
    assert [row.cells[missed] for row in full.rows] == ["", "other >= 0.3 by 0.2"]
    assert [row.is_muted for row in full.rows] == [False, True]


def test_the_small_table_has_the_first_and_the_folded_one_all(ran: Runner) -> None:
    phases = [{"name": "one", "grid": {"train.value": [n / 20 for n in range(12)]}}]
    content = content_of(ran(phases=phases, final=NO_FINAL).paths)
    small, full = tables(content, "phase-one")
    assert (len(small.rows), len(full.rows), small.folded) == (8, 12, None)
    assert small.title == "Trials of phase one, the first 8 of 12"
    assert small.rows[0].is_marked
    assert small.rows[0].cells[1:] == ("winner", "0.5500", "1.0000", "")
    assert [c.title for c in full.columns][:4] == ["Trial", "score", "other", "train.value"]
    assert full.folded == "Settings and metrics of all 12 trials"


def test_what_was_expected_stands_beside_what_came_out(ran: Runner) -> None:
    point = {"train.value": 0.5, "note": "as before", "expect": {"score": [0.6, 0.7], "x": [1, 2]}}
    content = content_of(ran(phases=one_phase(point), final=NO_FINAL).paths)
    _, full = tables(content, "phase-one")
    cells = dict(zip((column.title for column in full.columns), full.rows[0].cells, strict=True))
    assert cells["Note"] == "as before"
    assert cells["Expected"] == "score 0.6 to 0.7: below; x 1 to 2: not observed"


def test_text_that_can_not_be_seen_is_an_escape_on_one_line(ran: Runner) -> None:
    phases = one_phase({"train.value": 0.5, "note": "a\u202eb\x07"})
    outcome = ran(description="first\n\nsecond \u2066x", phases=phases, final=NO_FINAL)
    content = content_of(outcome.paths)
    assert content.question == "first second \\u2066x"
    assert "a\\u202eb\\x07" in repr(content.sections[0]).replace("\\\\", "\\")


def test_every_warning_of_the_canonical_report_is_a_finding(ran: Runner) -> None:
    outcome = ran(
        objective={"metric": "score", "on": "test"}, params={"train": {"fault": "inexact"}}
    )
    checks = {finding.check for finding in content_of(outcome.paths).findings}
    assert len(outcome.report["warnings"]) > 2
    assert {"chosen_on_test", "inexact_runs"} <= checks


def test_an_unfinished_study_says_what_is_missing(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    cut_off(scripted_study(), tmp_path, after=15)
    content = content_of(StudyPaths(tmp_path / "scripted"))
    assert not content.is_complete
    assert content.answer[0] == "Of 3 settings compared in 1 of 3 phases, these lead so far."
    assert [step.words for step in content.steps[1:]] == ["not decided yet"] * 2
    assert "2 trials; " in texts(content, "phase-preparation")
    assert texts(content, "phase-steps").startswith("This phase is not decided yet.")
    assert content.score is None


def test_a_study_without_a_decision_says_so(scripted_study: StudyMaker, tmp_path: Path) -> None:
    cut_off(scripted_study(), tmp_path, after=1)
    content = content_of(StudyPaths(tmp_path / "scripted"))
    assert content.answer == ("Nothing is decided yet.",)
    assert content.chips == ()


def test_a_phase_that_decided_nothing_has_no_recommendation(ran: Runner) -> None:
    content = content_of(ran(constraints=["score >= 9"]).paths)
    waits = "This phase is not decided yet. It waits for phase value, which decided nothing."
    assert texts(content, "phase-steps") == waits
    assert content.answer == ("Phase value decided nothing, so there is no recommendation.",)
    assert "no trial meets the constraints" in content.findings[0].sentence


def test_a_failed_final_model_is_said_with_its_reason(ran: Runner) -> None:
    phases = one_phase({"train.value": 0.5})
    content = content_of(ran(phases=phases, params={"test": {"fault": "raise"}}).paths)
    assert "The final model failed: " in texts(content, "final")
    assert content.findings[0].check == "final_failed"


def test_every_kind_of_figure_has_one_place(content: StudyContent) -> None:
    blocks = [block for s in content.sections for block in s.blocks]
    places = [(b.kind, b.phase) for b in blocks if isinstance(b, FigurePlace)]
    assert len(places) == len(set(places))
    assert {kind for kind, _ in places} == {
        "phase",
        "curves",
        "pretraining",
        "confusion",
        "sharing",
        "timeline",
    }


def test_where_no_study_is_there_is_nothing_to_say(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        content_of(StudyPaths(tmp_path / "none"))
