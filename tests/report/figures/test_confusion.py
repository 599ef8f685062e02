"""The confusion matrix: counts, shares, and text that can be read."""

import math

import pytest
from matplotlib.colors import to_rgb

from phasetune.report.figures.confusion import COLOURS, confusion_cells, draw_confusion
from phasetune.report.figures.style import luminance

TWO = {
    "confusion_0_0": 30.0,
    "confusion_0_1": 10.0,
    "confusion_1_0": 0.0,
    "confusion_1_1": 5.0,
    "accuracy": 0.8,
}


def square(size: int) -> dict[str, float]:
    return {f"confusion_{i}_{j}": float(i + j) for i in range(size) for j in range(size)}


def test_shares_are_of_the_true_class() -> None:
    cells = confusion_cells(TWO)
    assert cells.to_dict("list") == {
        "true": [0, 0, 1, 1],
        "predicted": [0, 1, 0, 1],
        "count": [30, 10, 0, 5],
        "share": [0.75, 0.25, 0.0, 1.0],
    }


def test_a_class_without_rows_has_no_shares() -> None:
    cells = confusion_cells({**TWO, "confusion_1_1": 0.0})
    assert list(cells["share"].isna()) == [False, False, True, True]
    texts = [text.get_text() for text in draw_confusion(cells).axes[0].texts]
    assert texts.count("-") == 2


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"accuracy": 0.5},
        {name: value for name, value in TWO.items() if name != "confusion_0_1"},
        {**TWO, "confusion_0_1": math.nan},
    ],
    ids=["nothing", "others", "a hole", "not finite"],
)
def test_what_is_no_whole_matrix_is_none(metrics: dict[str, float]) -> None:
    assert confusion_cells(metrics).empty


def test_each_cell_says_how_many_and_which_share() -> None:
    texts = [text.get_text() for text in draw_confusion(confusion_cells(TWO)).axes[0].texts]
    assert texts == ["30", "75%", "10", "25%", "0", "0%", "5", "100%"]


@pytest.mark.parametrize(("size", "num_texts"), [(6, 72), (10, 99), (29, 0)])
def test_the_more_classes_the_fewer_words(size: int, num_texts: int) -> None:
    axes = draw_confusion(confusion_cells(square(size))).axes[0]
    assert len(axes.texts) == num_texts
    assert len(axes.get_xticks()) <= 15


def test_text_can_be_read_on_every_cell() -> None:
    cells = confusion_cells({**square(5), **{f"confusion_0_{j}": 10.0 * j**2 for j in range(5)}})
    texts = draw_confusion(cells).axes[0].texts[::2]
    for text, share in zip(texts, cells["share"], strict=True):
        cell, ink = luminance(COLOURS(share)[:3]), luminance(to_rgb(text.get_color()))
        lighter, darker = max(cell, ink), min(cell, ink)
        assert (lighter + 0.05) / (darker + 0.05) >= 3.5
