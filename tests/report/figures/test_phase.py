"""The dots of a phase: who stands where, and what is drawn of it."""

import math
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasetune.report.figures.phase import (
    MOST_TRIALS,
    SHOWN_OF_MORE,
    draw_phase_points,
    phase_points,
    shown_trials,
)
from phasetune.report.figures.style import WINNER
from report.figures.made import across, decision

THREE = {
    "low": [{"score": 0.1, "other": 0.5}, {"score": 0.3, "other": 0.7}],
    "best": [{"score": 0.9, "other": 0.2}, {"score": 0.9, "other": 0.2}],
    "good": [{"score": 0.6, "other": 0.5}, {"score": 0.8, "other": 0.5}],
    "gone": [],
}
RULES = ["other >= 0.3", "other >= 0.1", "score <= 0.9 * baseline"]


def three(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"constraints": RULES[:2], "failed": {"gone": "it broke"}}
    return decision(THREE, **{**given, **changes})


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    return [*found, *labels]


def means(axes: Axes) -> list[float]:
    """Where the large dots are, row by row."""
    return [across(line)[0] for line in axes.lines if line.get_markersize() > 7]


def test_the_winner_is_first_then_feasible_infeasible_and_ineligible_trials() -> None:
    points = phase_points(three())
    trials = points.drop_duplicates("trial").set_index("trial")
    assert list(trials.index) == ["good", "low", "best", "gone"]
    assert list(trials["word"]) == ["winner", "", "infeasible", "ineligible"]
    assert list(trials["reason"])[-1] == "it broke"


def test_a_row_has_a_replicates_value_beside_the_mean_and_its_error() -> None:
    points = phase_points(three())
    low = points[(points["trial"] == "low") & (points["metric"] == "score")]
    assert list(low["value"]) == [0.1, 0.3]
    assert list(low["mean"]) == pytest.approx([0.2, 0.2])
    assert list(low["sem"]) == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("mode", "order"),
    [("max", ["c", "b", "a"]), ("min", ["a", "b", "c"])],
)
def test_better_is_what_the_objective_says(mode: str, order: list[str]) -> None:
    scores = {name: [{"score": value}] for name, value in [("b", -2.0), ("a", -3.0), ("c", -1.0)]}
    points = phase_points(decision(scores, mode=mode))
    assert list(points["trial"]) == order
    assert set(points["mode"]) == {mode}


def test_equal_trials_stay_in_file_order() -> None:
    points = phase_points(decision({name: [{"score": 1.0}] for name in "bac"}))
    assert list(points["trial"]) == ["b", "a", "c"]
    assert list(points["word"]) == ["winner", "tied", "tied"]


def test_a_winner_by_file_order_is_above_the_leader() -> None:
    scores = {"first": [{"score": 0.1}, {"score": 0.8}], "leader": [{"score": 0.9}, {"score": 0.1}]}
    points = phase_points(decision(scores, ties="prefer_first"))
    assert list(points.drop_duplicates("trial")["trial"]) == ["first", "leader"]


def test_bounds_are_the_tightest_and_relative_ones_are_resolved() -> None:
    points = phase_points(three(constraints=RULES, baseline="low"))
    bounds = points.groupby("metric")[["lower_bound", "upper_bound"]].first()
    assert bounds.loc["other", "lower_bound"] == 0.3
    assert bounds.loc["score", "upper_bound"] == pytest.approx(0.18)
    assert math.isnan(float(str(bounds.loc["score", "lower_bound"])))


def test_one_replicate_claims_no_noise() -> None:
    points = phase_points(decision({"only": [{"score": 0.5}]}))
    figure = draw_phase_points(points)
    assert points["sem"].isna().all()
    assert [len(across(line)) for line in figure.axes[0].lines] == [1]


def test_a_panel_per_metric_with_the_winner_in_colour_and_infeasible_ones_hollow() -> None:
    figure = draw_phase_points(phase_points(three()))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["score", "other"]
    assert means(figure.axes[0]) == pytest.approx([0.7, 0.2, 0.9])
    large = [line for line in figure.axes[0].lines if line.get_markersize() > 7]
    assert [line.get_markerfacecolor() == "white" for line in large] == [False, False, True]
    assert large[0].get_color() == WINNER
    assert {"winner", "infeasible", "ineligible", "it broke", "≥ 0.3"} < set(texts(figure))


def test_what_is_no_number_is_not_drawn() -> None:
    scores = {"nan": [{"score": math.nan}], "fine": [{"score": 1.0}]}
    figure = draw_phase_points(phase_points(decision(scores)))
    assert means(figure.axes[0]) == [1.0]
    assert "score is nan" in texts(figure)


def test_a_phase_of_failures_alone_is_drawn() -> None:
    record = decision({"a": [], "b": []}, failed={"a": "$x", "b": "y"}, constraints=["other >= 1"])
    figure = draw_phase_points(phase_points(record))
    assert means(figure.axes[0]) == []
    assert {"$x", "y"} < set(texts(figure))


@pytest.mark.parametrize("rules", [(), ("other >= 0",), ("other >= 0", "more >= 0")])
def test_a_reason_keeps_its_front_and_stays_within_its_panel(rules: tuple[str, ...]) -> None:
    reason = "replicate 0: fit failed: ValueError: " + "n" * 200
    scores = {"long-name-of-a-trial=12": [{"score": 0.5, "other": 1.0, "more": 1.0}], "gone": []}
    record = decision(scores, constraints=rules, failed={"gone": reason})
    figure = draw_phase_points(phase_points(record))
    figure.draw_without_rendering()
    panel = figure.axes[0]
    (said,) = [text for text in panel.texts if text.get_text().startswith("replicate")]
    assert said.get_text().endswith("…")
    assert reason.startswith(said.get_text().removesuffix("…"))
    assert said.get_window_extent().x1 <= panel.get_window_extent().x1
    assert said.get_window_extent().width > 0.75 * panel.get_window_extent().width


def test_of_very_many_trials_the_best_are_drawn_and_the_rest_counted() -> None:
    many = {f"t{n:04d}": [{"score": float(n)}] for n in range(MOST_TRIALS + 1)}
    points = phase_points(decision(many))
    assert len(points) == MOST_TRIALS + 1
    assert shown_trials(points)[0] == "t0040"
    figure = draw_phase_points(points)
    assert len(means(figure.axes[0])) == SHOWN_OF_MORE
    assert figure.get_supxlabel() == "and 11 more; the table has them all"


def test_all_of_forty_trials_are_drawn() -> None:
    many = {f"t{n:04d}": [{"score": float(n)}] for n in range(MOST_TRIALS)}
    figure = draw_phase_points(phase_points(decision(many)))
    assert len(means(figure.axes[0])) == MOST_TRIALS


def test_long_names_leave_room_for_dots() -> None:
    figure = draw_phase_points(phase_points(decision({"n" * 100: [{"score": 1.0}]})))
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > 0.4
