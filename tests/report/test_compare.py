"""Trials side by side: which columns, in which order."""

from pathlib import Path
from typing import Any

import pytest

import phasetune
from phasetune import StoreError, StudyError, StudyOutcome
from phasetune.report.compare import compared
from report.conftest import Runner

POINTS: list[dict[str, Any]] = [
    {"train.value": 0.9, "train.fault": "nan"},
    {"train.value": 0.2},
    {"train.value": 0.8, "train.other": 0.1},
    {"train.value": 0.6},
    {"train.value": 0.2, "train.steps": 4},
]


def trials_of(table: Any) -> list[Any]:
    return list(zip(table["train.value"], table["standing"], table["is_winner"], strict=True))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (
            "max",
            [
                (0.8, "infeasible", False),
                (0.6, "feasible", True),
                (0.2, "feasible", False),
                (0.2, "feasible", False),
                (0.9, "ineligible", False),
            ],
        ),
        (
            "min",
            [
                (0.2, "feasible", True),
                (0.2, "feasible", False),
                (0.6, "feasible", False),
                (0.8, "infeasible", False),
                (0.9, "ineligible", False),
            ],
        ),
    ],
)
def test_the_best_by_the_objective_is_first_and_what_cant_be_judged_last(
    ran: Runner, results: Path, mode: str, expected: list[Any]
) -> None:
    ran(objective={"metric": "score", "mode": mode}, phases=[{"name": "one", "points": POINTS}])
    table = phasetune.compare(results)
    assert trials_of(table) == expected
    equal = table[table["train.value"] == 0.2]
    assert list(equal["train.steps"]) == [3, 4]
    assert list(table.index) == [0, 1, 2, 3, 4]


def test_a_trial_that_failed_is_last_however_well_its_other_replicates_scored(
    ran: Runner, results: Path
) -> None:
    once = {"train.value": 0.9, "train.fault": "raise", "train.marker": str(results.parent / "x")}
    points = [once, {"train.value": 0.2}]
    ran(replicates={"folds": 2}, phases=[{"name": "one", "points": points}])
    table = phasetune.compare(results)
    assert trials_of(table) == [(0.2, "feasible", True), (0.9, "ineligible", False)]
    assert list(table["score"]) == [0.2, 0.9]
    assert list(table["replicates_done"]) == [2, 1]


def test_parameters_that_are_equal_everywhere_are_left_out(whole: StudyOutcome) -> None:
    root = whole.paths.root.parent
    assert list(phasetune.compare(root).columns) == [
        "phase",
        "trial",
        "prepare.value",
        "train.steps",
        "train.value",
        "score",
        "score_sem",
        "other",
        "other_sem",
        "replicates_done",
        "standing",
        "is_winner",
    ]
    one = phasetune.compare(root, filters="phase == steps")
    assert list(one.columns[2:4]) == ["train.steps", "train.value"]
    assert len(phasetune.compare(root, filters=["phase == steps", "train.value == 0.6"])) == 2


def test_a_baseline_counts_though_it_is_filtered_out(whole: StudyOutcome) -> None:
    root = whole.paths.root.parent
    better = ["baseline == false", "score >= 1.2 * baseline"]
    assert list(phasetune.compare(root, filters=better)["score"]) == [0.6] * 5
    assert len(phasetune.compare(root, filters="score >= baseline")) == 5 + 3


def test_another_column_sorts_the_least_or_the_greatest_first(ran: Runner, results: Path) -> None:
    ran(phases=[{"name": "one", "points": POINTS}])
    for sort_by, expected in (
        ("train.value", [0.2, 0.2, 0.6, 0.8, 0.9]),
        ("-train.value", [0.9, 0.8, 0.6, 0.2, 0.2]),
        ("-score", [0.8, 0.6, 0.2, 0.2, 0.9]),
    ):
        assert list(phasetune.compare(results, sort_by=sort_by)["train.value"]) == expected
    timed = phasetune.compare(results, sort_by="-seconds")
    assert timed["seconds"].is_monotonic_decreasing
    with pytest.raises(StoreError, match="sort: there is no column 'scores'; did you mean 'score'"):
        phasetune.compare(results, sort_by="-scores")


def test_studies_of_several_roots_are_told_apart(ran: Runner, results: Path) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    ran(phases=phases)
    ran(results="more", phases=[{"name": "one", "grid": {"train.value": [0.4]}}], seed=12)
    more = results.parent / "more"
    table = phasetune.compare(results, more)
    assert list(table["results"]) == [str(results), str(more), str(results)]
    assert list(table["train.value"]) == [0.6, 0.4, 0.2]
    assert "study" not in table
    ran(name="second", phases=phases)
    both = phasetune.compare(results)
    assert list(both["study"]) == ["scripted", "second", "scripted", "second"]
    assert "results" not in both
    assert len(phasetune.compare(results, results, study="second")) == 2


def test_a_root_that_is_named_in_two_ways_counts_once(
    ran: Runner, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    (results.parent / "link").symlink_to(results)
    monkeypatch.chdir(results.parent)
    table = phasetune.compare("results", results, "link")
    assert list(table["train.value"]) == [0.6, 0.2]
    assert "results" not in table


def test_studies_of_other_workloads_share_the_table(ran: Runner, results: Path) -> None:
    one = [{"name": "one", "points": [{}]}]
    ran(phases=one)
    ran(
        name="looks",
        workload="stages_of_frames",
        objective={"metric": "score"},
        constraints=[],
        phases=one,
    )
    table = phasetune.compare(results)
    assert list(table["study"]) == ["scripted", "looks"]
    assert (table["train.steps"][0], table["look.depth"][1]) == (3, 3)
    assert table["look.depth"].isna()[0]
    assert table["standing"][1] == "ineligible"


def test_studies_with_other_objectives_are_sorted_when_told_how(ran: Runner, results: Path) -> None:
    phases = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
    ran(phases=phases)
    ran(name="least", objective={"metric": "other", "mode": "min"}, phases=phases)
    with pytest.raises(StudyError) as raised:
        phasetune.compare(results)
    assert str(raised.value) == (
        "the studies have different objectives (min other, max score), so none is best; say by "
        "which column to sort: --sort-by, or sort_by in Python"
    )
    table = phasetune.compare(results, sort_by="score")
    assert list(table["score"]) == [0.2, 0.2, 0.6, 0.6]
    for one in (
        phasetune.compare(results, study="least"),
        phasetune.compare(results, filters="study == least"),
    ):
        assert list(one["train.value"]) == [0.2, 0.6]
        assert list(one.columns[3:5]) == ["other", "other_sem"]
    assert phasetune.compare(results, filters="study == none").empty


def test_a_metric_that_has_the_name_of_a_column_is_found(ran: Runner, results: Path) -> None:
    ran(
        workload="stages_of_frames",
        objective={"metric": "note"},
        constraints=["note >= 0.5"],
        phases=[{"name": "one", "grid": {"look.depth": [1, 2]}}],
    )
    table = phasetune.compare(results)
    assert list(table.columns[2:5]) == ["look.depth", "metric_note", "metric_note_sem"]
    assert list(table["metric_note"]) == [1.0, 1.0]


def test_nothing_decided_is_an_empty_table(ran: Runner, results: Path) -> None:
    paths = ran(phases=[{"name": "one", "points": [{}]}]).paths
    paths.phase("one").decision.unlink()
    found = compared([results])
    assert (len(found.table), found.num_trials, found.parameters) == (0, 0, ())
    assert list(found.table.columns[:4]) == ["phase", "trial", "score", "score_sem"]


def test_a_root_without_studies_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study; name a results root"):
        phasetune.compare(tmp_path)
