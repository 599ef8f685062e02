"""What figures show, in words."""

import math
from pathlib import Path

import pandas as pd
import pytest

from phasetune.report.figures import words
from phasetune.report.figures.confusion import confusion_cells
from phasetune.report.figures.phase import phase_points
from phasetune.report.figures.times import device_times, phase_costs
from phasetune.report.figures.tree import sharing_tree
from report.figures.made import Store, decision, figured, run, trial


def test_a_phase_says_who_won_and_who_could_not() -> None:
    scores = {
        "a": [{"score": 0.5}, {"score": 0.7}],
        "b": [{"score": 0.5}, {"score": 0.6}],
        "c": [{"score": 0.1}, {"score": 0.1}],
        "d": [],
    }
    record = decision(scores, constraints=["score >= 0.2"], failed={"d": "no"})
    assert words.phase_caption(phase_points(record)) == (
        "a wins among 4 trials with score 0.6000 ± 0.1000. Of the others: 1 within noise of it; "
        "1 infeasible, drawn hollow; 1 could not be judged. Dots: means; bars: ± one standard "
        "error; pale dots: replicates. Shaded: what a constraint forbids."
    )


@pytest.mark.parametrize(
    ("value", "caption"),
    [
        (0.5, "a wins as the only trial with score 0.5000. Dots: one replicate each."),
        (
            math.nan,
            "No trial won. Of the others: 1 could not be judged. Dots: one replicate each.",
        ),
    ],
    ids=["one", "none"],
)
def test_a_phase_of_one_trial(value: float, caption: str) -> None:
    assert words.phase_caption(phase_points(decision({"a": [{"score": value}]}))) == caption


def test_the_closest_one_that_was_taken_wins_nothing() -> None:
    record = decision(
        {"a": [{"score": 0.5}], "b": [{"score": 0.2}]},
        constraints=["score >= 0.9"],
        if_infeasible="least_violation",
    )
    points = phase_points(record)
    assert list(points["word"]) == ["taken", "infeasible"]
    assert words.phase_caption(points).startswith(
        "No trial meets the constraints; a came closest and was taken, with score 0.5000. Of the "
        "others: 1 infeasible, drawn hollow."
    )


def test_the_commonest_mistake_is_named() -> None:
    cells = confusion_cells(
        {"confusion_0_0": 9.0, "confusion_0_1": 1.0, "confusion_1_0": 1.0, "confusion_1_1": 1.0}
    )
    assert words.confusion_caption(cells) == (
        "10 of 12 rows are taken for what they are. The commonest mistake: 50% of class 1 are "
        "taken for class 0."
    )


def test_without_mistakes_none_is_named() -> None:
    found = confusion_cells({f"confusion_{i}_{j}": 3.0 * (i == j) for i in (0, 1) for j in (0, 1)})
    assert words.confusion_caption(found) == "6 of 6 rows are taken for what they are."


def test_the_timeline_tells_computed_from_reused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("prepare", "p", seconds=60, study="other")
    store.add("fit", "f", seconds=90)
    study = figured([trial("t", [run("prepare", "p"), run("fit", "f")])], store)
    times = device_times(study)
    assert words.timeline_caption(times, phase_costs(study, times)) == (
        "1.5 minutes of computing on 1 worker; 1.0 minutes were not computed again, hatched; "
        "1 run came from other studies."
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.04 seconds"), (7, "7 seconds"), (45.4, "45 seconds"), (60, "1.0 minutes")],
)
def test_times_are_told_in_what_they_have(tmp_path: Path, seconds: float, told: str) -> None:
    store = Store(tmp_path)
    store.add("fit", "f", seconds=seconds)
    study = figured([trial("t", [run("fit", "f")])], store)
    times = device_times(study)
    caption = words.timeline_caption(times, phase_costs(study, times))
    assert caption == f"{told} of computing on 1 worker."


def test_the_tree_tells_runs_from_trials(tmp_path: Path) -> None:
    trials = [trial(k, [run("prepare", "p"), run("fit", k)]) for k in "abcd"]
    caption = words.sharing_caption(*sharing_tree(figured(trials, Store(tmp_path))))
    assert caption == (
        "For 4 trials: prepare: 1 run, not 4; fit: 4 runs. A number in a circle is how many trials "
        "use it."
    )


def test_the_tree_explains_no_sign_that_is_not_there(tmp_path: Path) -> None:
    alone = [trial(f"t{n}", [run("fit", f"f{n}")]) for n in range(99)]
    caption = words.sharing_caption(*sharing_tree(figured(alone, Store(tmp_path))))
    assert caption == "For 99 trials: fit: 99 runs."
    folds = [trial("t", [run("fit", "a")], [run("fit", "b")])]
    caption = words.sharing_caption(*sharing_tree(figured(folds, Store(tmp_path))))
    assert caption.startswith("For 1 trial: fit: 2 runs. \N{MULTIPLICATION SIGN}5 stands for five")


@pytest.mark.parametrize(
    ("ends", "caption"),
    [
        ([(8, 6), (12, 10)], "2 runs along 1 shared training: 14 steps instead of 20."),
        ([(8, 6)], "1 run along 1 shared training: 8 steps."),
    ],
    ids=["two", "one"],
)
def test_shared_trainings_tell_their_steps(ends: list[tuple[int, int]], caption: str) -> None:
    curves = pd.DataFrame(
        [{"key": str(n), "trunk": "t", "last_step": n, "branch_step": step} for n, step in ends]
    )
    assert words.pretraining_caption(curves).startswith(caption)


@pytest.mark.parametrize(
    ("replicates", "sem", "is_winner", "has_dots", "has_band"),
    [
        ([2, 2], 0.1, True, False, True),
        ([2, 1], 0.1, True, True, True),
        ([1, 1], math.nan, True, False, False),
        ([2, 2], 0.1, False, False, False),
    ],
)
def test_curves_explain_bands_and_dotted_ends(
    replicates: list[int], sem: float, is_winner: bool, has_dots: bool, has_band: bool
) -> None:
    curves = pd.DataFrame(
        {"phase": "one", "trial": "t", "metric": "loss", "sem": sem, "replicates": replicates}
    ).assign(is_winner=is_winner)
    caption = words.curves_caption(curves)
    assert ("Dotted" in caption) is has_dots
    assert ("band" in caption) is has_band
