"""Learning curves: which metric, over which replicates."""

import math
from pathlib import Path
from typing import Any

import pytest

from phasetune.report.figures.curves import draw_learning_curves, learning_curves
from phasetune.report.figures.record import FiguredStudy
from report.figures.made import Store, across, figured, run, trial

History = list[dict[str, float]]


def rows(*values: float, name: str = "val_score", **others: float) -> History:
    return [{"step": step, name: value, **others} for step, value in enumerate(values, start=1)]


def study(folder: Path, *histories: History, others: int = 0, phases: int = 1) -> FiguredStudy:
    """A winner with a replicate per history, and trials that have the first one's."""
    store = Store(folder)
    store.add("prepare", "p", history=rows(9.0, name="other"))
    for index, history in enumerate(histories):
        store.add("fit", f"f{index}", history=history)
    chains = [[run("prepare", "p"), run("fit", f"f{index}")] for index in range(len(histories))]
    trials = [
        trial(f"{phase}-t{n}", *chains[: 1 if n else None], phase=f"ph{phase}", is_winner=n == 0)
        for phase in range(phases)
        for n in range(others + 1)
    ]
    return figured(trials, store)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["learning_rate", "train_loss", "val_loss", "score", "val_score"], "val_score"),
        (["learning_rate", "train_loss", "val_loss", "score"], "score"),
        (["learning_rate", "gradient_norm", "train_loss", "val_loss"], "val_loss"),
        (["learning_rate", "gradient_norm", "train_loss"], "train_loss"),
    ],
    ids=["validated objective", "objective", "validation loss", "first metric"],
)
def test_the_metric_is_the_one_that_decides(names: list[str], chosen: str, tmp_path: Path) -> None:
    history = [{"step": 1, **dict.fromkeys(names, 0.5)}]
    assert set(learning_curves(study(tmp_path, history))["metric"]) == {chosen}


def test_a_curve_is_the_mean_over_replicates_with_its_standard_error(tmp_path: Path) -> None:
    curve = learning_curves(study(tmp_path, rows(1.0, 2.0), rows(3.0, 2.0)))
    assert list(curve["step"]) == [1, 2]
    assert list(curve["mean"]) == [2.0, 2.0]
    assert list(curve["sem"]) == pytest.approx([1.0, 0.0])
    assert list(curve["replicates"]) == [2, 2]


def test_where_nobody_won_no_curve_is_said_to_be_the_winner_s(tmp_path: Path) -> None:
    curves = learning_curves(study(tmp_path, rows(1.0, 2.0), others=1)).assign(is_winner=False)
    said = [text.get_text() for text in draw_learning_curves(curves).axes[0].texts]
    assert said == ["grey: 2 trials"]


def test_one_replicate_has_no_band(tmp_path: Path) -> None:
    curve = learning_curves(study(tmp_path, rows(1.0, 2.0)))
    assert curve["sem"].isna().all()


def test_who_stopped_early_is_in_no_later_mean(tmp_path: Path) -> None:
    curve = learning_curves(study(tmp_path, rows(1.0, 2.0, 5.0), rows(3.0, 2.0)))
    assert list(curve["mean"]) == [2.0, 2.0, 5.0]
    assert list(curve["replicates"]) == [2, 2, 1]
    lines = draw_learning_curves(curve).axes[0].lines
    dotted = [across(line) for line in lines if line.get_linestyle() == ":"]
    assert dotted == [[2.0, 3.0]]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_leaves_a_gap(value: float, tmp_path: Path) -> None:
    history = [{"step": n, "val_score": v} for n, v in ((1, 0.5), (2, str(value)), (3, 0.6))]
    made: Any = [history, rows(0.5, 0.5, 0.6)]
    curve = learning_curves(study(tmp_path, *made))
    assert list(curve["mean"].isna()) == [False, True, False]
    draw_learning_curves(curve).draw_without_rendering()


def test_the_last_report_of_a_step_counts(tmp_path: Path) -> None:
    history = [*rows(1.0), *rows(4.0)]
    assert list(learning_curves(study(tmp_path, history))["mean"]) == [4.0]


def test_nothing_is_drawn_of_what_is_not_there(tmp_path: Path) -> None:
    assert learning_curves(figured([trial("t", [run("fit", "gone")])], Store(tmp_path))).empty
    assert (
        learning_curves(study(tmp_path, [{"step": 1, "learning_rate": 0.1}], []))["metric"]
        .eq("other")
        .all()
    )


def test_a_panel_per_phase_names_its_winner_and_counts_the_others(tmp_path: Path) -> None:
    figure = draw_learning_curves(
        learning_curves(study(tmp_path, rows(0.1, 0.2), others=2, phases=4))
    )
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in visible] == ["ph0", "ph1", "ph2", "ph3"]
    assert [text.get_text() for text in visible[1].texts] == ["1-t0", "grey: 2 others"]


@pytest.mark.parametrize(
    ("name", "scale"), [("val_loss", "log"), ("val_score", "linear")], ids=["loss", "score"]
)
def test_a_loss_over_decades_has_a_log_scale(name: str, scale: str, tmp_path: Path) -> None:
    curves = learning_curves(study(tmp_path, rows(1.0, 0.1, 0.001, name=name)))
    figure = draw_learning_curves(curves)
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == scale


def test_of_very_many_others_some_are_drawn_and_that_is_said(tmp_path: Path) -> None:
    figure = draw_learning_curves(learning_curves(study(tmp_path, rows(0.1), others=301)))
    assert figure.axes[0].texts[1].get_text() == "grey: 101 of 301 others"
