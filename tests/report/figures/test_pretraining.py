"""Trainings with milestones: what is shared, and where it is left."""

from pathlib import Path

import pytest

from phasetune.report.figures.pretraining import draw_pretraining, pretraining_curves
from phasetune.report.figures.record import FiguredStudy
from report.figures.made import Store, across, figured, run, trial

HORIZONS = {"a": (8, 6), "b": (12, 10)}


def study(folder: Path, *sizes: int) -> FiguredStudy:
    """For each size a trunk with two branches, and a run that has none."""
    store, trials = Store(folder), []
    store.add("grow", "alone", history=[{"step": 1, "val_loss": 1.0}])
    for size in sizes:
        for name, (steps, leaves) in HORIZONS.items():
            key = f"{name}{size}"
            history = [
                {"step": step, "learning_rate": 0.1, "train_loss": 9.0, "val_loss": 1.0 / step}
                for step in range(1, steps + 1)
            ]
            params = {"grow.size": size, "grow.steps": steps, "grow.depth": 1}
            store.add("grow", key, history=history, params=params)
            trials.append(trial(f"t{key}", [run("grow", key, trunk=f"trunk{size}", step=leaves)]))
    return figured([*trials, trial("alone", [run("grow", "alone")])], store)


def test_a_run_is_a_trunk_up_to_its_milestone(tmp_path: Path) -> None:
    curves = pretraining_curves(study(tmp_path, 16))
    assert set(curves["key"]) == {"a16", "b16"}
    assert set(curves["metric"]) == {"val_loss"}
    first = curves[curves["key"] == "a16"]
    assert list(first["step"]) == list(range(1, 9))
    assert list(first["is_trunk"]) == [True] * 6 + [False] * 2
    assert set(first["last_step"]) == {8}


@pytest.mark.parametrize(
    ("sizes", "told"),
    [((16,), {""}), ((16, 32), {"size 16", "size 32"})],
    ids=["one trunk", "two trunks"],
)
def test_trunks_are_told_apart_by_what_they_do_not_have_in_common(
    sizes: tuple[int, ...], told: set[str], tmp_path: Path
) -> None:
    assert set(pretraining_curves(study(tmp_path, *sizes))["differs"]) == told


def test_a_trunk_is_drawn_once_and_each_branch_from_its_milestone(tmp_path: Path) -> None:
    axes = draw_pretraining(pretraining_curves(study(tmp_path, 16))).axes[0]
    spans = {
        (line.get_linestyle(), across(line)[0], across(line)[-1])
        for line in axes.lines
        if len(across(line)) > 1
    }
    assert spans == {("-", 1.0, 10.0), ("--", 6.0, 8.0), ("--", 10.0, 12.0)}
    assert list(axes.get_xticks()) == [1, 8, 12]


def test_the_legend_names_trunks_and_marks(tmp_path: Path) -> None:
    axes = draw_pretraining(pretraining_curves(study(tmp_path, 16, 32))).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "size 16",
        "size 32",
        "a run leaves the shared training",
        "a run ends",
    ]


def test_without_milestones_there_is_nothing(tmp_path: Path) -> None:
    assert pretraining_curves(study(tmp_path)).empty
