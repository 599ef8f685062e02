"""Sentences of the sections: each is true of its own study, or is not there."""

from typing import Any

import pytest

from phasetune.report.page.sections.steps import Surety
from phasetune.report.page.sections.trials import trial_tables
from phasetune.store.documents import read_document, write_document
from report.conftest import Runner
from report.page.pages import content_of, one_phase, tables, texts

NO_FINAL = {"refit": False, "test": False}
FOLDS = {"params": {"train": {"noise": 0.1}}, "replicates": {"folds": 3}}
MISSING = [{"train.other": 0.1, "train.value": 0.5}, {"train.other": 0.2, "train.value": 0.6}]


def test_what_no_phase_decided_is_chosen_by_none(ran: Runner) -> None:
    phases = [
        {"name": "kept", "points": MISSING},
        {"name": "decided", "grid": {"train.steps": [2, 3]}},
    ]
    content = content_of(ran(phases=phases, if_infeasible="keep_carried", final=NO_FINAL).paths)
    assert [(chip.parameter, chip.phase) for chip in content.chips] == [("train.steps", "decided")]
    origins = [row.cells[::2] for table in tables(content, "settings") for row in table.rows]
    assert [entry for entry in origins if entry[1].startswith("chosen")] == [
        ("train.steps", "chosen in phase decided")
    ]


def test_a_later_phase_that_keeps_what_was_carried_takes_no_choice_away(ran: Runner) -> None:
    phases = [
        {"name": "decided", "grid": {"train.value": [0.4, 0.6]}},
        {"name": "kept", "points": MISSING},
    ]
    content = content_of(ran(phases=phases, if_infeasible="keep_carried", final=NO_FINAL).paths)
    assert [(c.parameter, c.value, c.phase) for c in content.chips] == [
        ("train.value", "0.6", "decided")
    ]


def test_a_lead_that_is_the_same_in_each_fold_has_unknown_noise(ran: Runner) -> None:
    outcome = ran(phases=one_phase({"train.value": 0.9}, {"train.value": 0.6}), **FOLDS)
    path = outcome.paths.phase("one").decision
    record: Any = read_document(path)
    for trial in record["trials"]:
        if trial["behind_leader"] is not None:
            values = [0.9 - 0.6, 0.8 - 0.5, 0.7 - 0.4]
            trial["behind_leader"] = {"mean": 0.3, "sem": 1.85e-17, "values": values}
    write_document(path, record)
    content = content_of(outcome.paths)
    assert [(s.surety, s.words) for s in content.steps] == [(Surety.UNKNOWN, "noise unknown")]
    assert "interval" not in texts(content, "phase-one")
    assert "by luck alone" not in texts(content, "phase-one")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({}, "4 settings were compared. Were they all equally good", id="all"),
        pytest.param(
            {"train.other": 0.1},
            "4 of the 5 settings met the constraints; were they all equally good",
            id="one is infeasible",
        ),
        pytest.param(
            {"train.fault": "raise"},
            "4 of the 5 settings could be judged; were they all equally good",
            id="one failed",
        ),
    ],
)
def test_the_luck_of_the_best_is_that_of_those_compared(
    ran: Runner, more: dict[str, Any], words: str
) -> None:
    points = [{"train.value": value} for value in (0.9, 0.1, 0.2, 0.3)]
    points += [{"train.value": 0.4, **more}] if more else []
    content = content_of(ran(phases=one_phase(*points), final=NO_FINAL, **FOLDS).paths)
    assert words in texts(content, "phase-one")


def test_the_best_of_very_many_are_counted_once(ran: Runner) -> None:
    outcome = ran(phases=one_phase({"train.value": 0.5}), final=NO_FINAL)
    (record,) = outcome.report["phases"]
    _, alone = trial_tables(record)
    assert alone.folded == "Settings and metrics of the only trial"
    (trial,) = record["trials"]
    names = [record["winner"], *(f"t{n}" for n in range(299))]
    many = {**record, "trials": [{**trial, "name": name} for name in names]}
    _, full = trial_tables(many)
    assert full.folded == "Settings and metrics of the best 200 of 300 trials"


def test_one_setting_is_not_compared(ran: Runner) -> None:
    content = content_of(ran(phases=one_phase({"train.value": 0.5}), final=NO_FINAL).paths)
    assert content.answer == (
        "Only one setting was tried, so it is recommended; there was none to compare it with.",
    )


def test_what_was_taken_without_being_feasible_won_nothing(ran: Runner) -> None:
    changes: dict[str, Any] = {"phases": one_phase(*MISSING), "final": NO_FINAL}
    content = content_of(ran(if_infeasible="least_violation", **changes).paths)
    small, _ = tables(content, "phase-one")
    assert [row.cells[1] for row in small.rows] == ["taken, infeasible", "infeasible"]


@pytest.mark.parametrize(
    ("final", "counts", "is_tested", "has_intervals"),
    [
        pytest.param(NO_FINAL, {}, False, False, id="no test"),
        pytest.param({}, {}, True, False, id="a test without counts"),
        pytest.param(
            {},
            {"accuracy": 0.5, **{f"confusion_{i}_{j}": 9 for i in (0, 1) for j in (0, 1)}},
            True,
            True,
            id="a test with counts",
        ),
    ],
)
def test_only_what_is_there_is_explained(
    ran: Runner, final: Any, counts: dict[str, float], is_tested: bool, has_intervals: bool
) -> None:
    outcome = ran(phases=one_phase({"train.value": 0.5}, {"train.value": 0.4}), final=final)
    if counts:
        found: Any = read_document(outcome.paths.final)
        write_document(outcome.paths.final, {**found, "test": {**found["test"], **counts}})
    said = texts(content_of(outcome.paths), "reading")
    assert "luck is selected too" in said
    assert ("the final test is free of that" in said) is is_tested
    assert ("Wilson" in said) is has_intervals


def test_runs_that_failed_are_counted_as_such(ran: Runner) -> None:
    faulty = ({"train.fault": "raise", "train.steps": steps} for steps in (1, 2))
    phases = one_phase({"train.value": 0.5}, *faulty)
    content = content_of(ran(phases=phases, final=NO_FINAL).paths)
    assert "2 of them were executed by this study, 2 more failed. That took" in texts(
        content, "computing"
    )
    (table,) = tables(content, "computing")
    failed = [column.title for column in table.columns].index("Failed")
    assert {row.cells[0]: row.cells[failed] for row in table.rows} == {"prepare": "0", "train": "2"}


def test_facts_that_are_not_known_have_no_row(ran: Runner) -> None:
    outcome = ran(phases=one_phase({"train.value": 0.5}), final=NO_FINAL)
    outcome.paths.provenance.unlink()
    said = texts(content_of(outcome.paths), "provenance")
    assert said.startswith("Workload: ")
    assert ": " in said
    assert not [name for name in ("Hosts:", "Commit:", "Code fingerprint:") if name in said]
