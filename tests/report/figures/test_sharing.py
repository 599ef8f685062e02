"""The sharing tree: which trials use which runs."""

from pathlib import Path

import pytest

from phasetune.report.figures.record import PlannedTrial
from phasetune.report.figures.sharing import TIMES, _apart, draw_sharing
from phasetune.report.figures.tree import MOST_ROWS, run_counts_text, sharing_tree
from report.figures.made import Store, figured, run, trial


def four(*, folds: int = 1) -> list[PlannedTrial]:
    """Four trials that share one preparation."""
    return [
        trial(
            name,
            *([run("prepare", "p"), run("fit", f"{name}{fold}")] for fold in range(folds)),
            is_winner=name == "b",
        )
        for name in "abcd"
    ]


def tree(trials: list[PlannedTrial]) -> tuple[list[tuple[object, ...]], list[str]]:
    nodes, rows = sharing_tree(figured(trials, Store(Path())))
    told = nodes[["stage", "parent", "runs", "trials", "asked"]].itertuples(index=False, name=None)
    return list(told), list(rows["name"])


def test_one_preparation_serves_four_trials() -> None:
    nodes, rows = tree(four())
    assert nodes == [("prepare", -1, 1, 4, 4), *[("fit", 0, 1, 1, 1)] * 4]
    assert rows == list("abcd")


def test_folds_of_a_trial_are_one_node() -> None:
    nodes, _ = tree(four(folds=5))
    assert nodes == [("prepare", -1, 1, 4, 4), *[("fit", 0, 5, 1, 5)] * 4]


def test_a_trial_of_a_later_phase_that_is_the_same_uses_the_same_runs() -> None:
    again = trial("e", [run("prepare", "p"), run("fit", "b0")], phase="two")
    nodes, _ = tree([*four(), again])
    assert nodes[0] == ("prepare", -1, 1, 5, 5)
    assert ("fit", 0, 1, 2, 2) in nodes


def many(count: int, preparations: int) -> list[PlannedTrial]:
    return [
        trial(f"t{n}", [run("prepare", f"p{n % preparations}"), run("fit", f"f{n}")])
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("trials", "rows"),
    [
        (many(MOST_ROWS, 2), [f"t{n}" for n in range(MOST_ROWS)]),
        (many(100, 2), ["50 trials, runs of their own"] * 2),
        (many(2000, 2000), ["2,000 trials, runs of their own"]),
        (many(2000, 70), ["2,000 trials"]),
        (
            [trial(f"t{n}", [run("fit", f"f{n}")], phase=f"ph{n}") for n in range(70)],
            ["70 trials, runs of their own"],
        ),
    ],
    ids=["as many as fit", "what they share", "by phase", "by phase, shared", "all"],
)
def test_of_many_trials_those_that_are_alike_are_one_row(
    trials: list[PlannedTrial], rows: list[str]
) -> None:
    nodes, found = tree(trials)
    assert found == rows
    assert sum(int(str(node[2])) for node in nodes if node[0] == "fit") == len(trials)
    assert len(nodes) <= 2 * MOST_ROWS


def test_the_winner_keeps_its_name_among_many() -> None:
    winner = trial("best", [run("prepare", "p0"), run("fit", "w")], is_winner=True)
    _, rows = tree([*many(100, 1), winner])
    assert rows == ["100 trials, runs of their own", "best"]


def test_a_circle_has_a_number_only_where_so_many_trials_use_all_of_it() -> None:
    folds = [
        trial(f"t{n}", *([run("prepare", f"p{fold}"), run("fit", f"f{n}-{fold}")] for fold in "ab"))
        for n in range(299)
    ]
    nodes, rows = sharing_tree(figured(folds, Store(Path())))
    texts = [text.get_text() for text in draw_sharing(nodes, rows).axes[0].texts]
    assert [text for text in texts if text.isdecimal()] == ["299"]
    assert [text for text in texts if text.startswith(TIMES)] == [f"{TIMES}2"]
    assert "299 trials, runs of their own" in texts


@pytest.mark.parametrize(
    ("trials", "said"), [(four(), "1 run, not 4"), (four()[:1], "1 run")], ids=["shared", "alone"]
)
def test_a_stage_says_how_many_runs_there_are_instead_of_how_many(
    trials: list[PlannedTrial], said: str
) -> None:
    nodes, _ = sharing_tree(figured(trials, Store(Path())))
    assert run_counts_text(nodes[nodes["stage"] == "prepare"]) == said


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({1: 0.0, 2: 5.0}, {1: 0.0, 2: 5.0}),
        ({1: 2.0, 2: 2.0, 3: 2.0}, {1: 2.0, 2: 3.0, 3: 4.0}),
        ({1: 9.0, 2: 9.0}, {1: 8.0, 2: 9.0}),
        ({}, {}),
    ],
    ids=["far apart", "on one spot", "at the end", "none"],
)
def test_nodes_do_not_touch(wanted: dict[int, float], found: dict[int, float]) -> None:
    assert _apart(wanted, 1.0, most=9.0) == found


def test_names_numbers_and_sentences_are_in_the_picture() -> None:
    nodes, rows = sharing_tree(figured(four(folds=5), Store(Path())))
    figure = draw_sharing(nodes, rows)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == "4"
    assert texts.count("\N{MULTIPLICATION SIGN}5") == 4
    assert {"prepare", "1 run, not 4", "fit", "20 runs", "one", "a", "b  winner"} < set(texts)


def test_nothing_planned_is_an_empty_tree() -> None:
    nodes, rows = sharing_tree(figured([], Store(Path())))
    assert nodes.empty
    assert rows.empty
