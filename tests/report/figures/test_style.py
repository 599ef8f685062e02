"""How figures look: what can be seen by everybody."""

import itertools
import math

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from phasetune.report.figures import style

TELLING = {
    "winner": style.WINNER,
    "limit": style.LIMIT,
    "ink": style.INK,
    "stage 1": style.STAGES[0],
    "stage 2": style.STAGES[1],
    "stage 3": style.STAGES[2],
    "stage 4": style.STAGES[3],
}
NEVER_TOGETHER = {("limit", f"stage {n}") for n in range(1, 5)} | {
    ("ink", f"stage {n}") for n in range(1, 5)
}
SEEN_BY = {
    "everybody": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def linear(colour: str) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def cielab(light: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(to_xyz @ np.clip(light, 0, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast_with_white(colour: str) -> float:
    return 1.05 / (style.luminance(to_rgb(colour)) + 0.05)


@pytest.mark.parametrize("matrix", SEEN_BY.values(), ids=list(SEEN_BY))
def test_colours_that_tell_something_can_be_told_apart(matrix: np.ndarray) -> None:
    for first, second in itertools.combinations(TELLING, 2):
        if (first, second) in NEVER_TOGETHER:
            continue
        seen = [cielab(matrix @ linear(TELLING[name])) for name in (first, second)]
        assert np.linalg.norm(seen[0] - seen[1]) > 20, (first, second)


@pytest.mark.parametrize("colour", TELLING.values(), ids=list(TELLING))
def test_marks_stand_out_from_paper(colour: str) -> None:
    assert contrast_with_white(colour) >= 3


@pytest.mark.parametrize("colour", [style.INK, style.QUIET, style.WINNER, style.LIMIT])
def test_text_can_be_read_on_paper(colour: str) -> None:
    assert contrast_with_white(colour) >= 4.5


def test_a_stage_has_its_colour_whatever_the_order() -> None:
    assert style.stage_colours(["test", "fit", "prepare"]) == style.stage_colours(
        ["prepare", "fit", "test", "fit"]
    )
    assert len(set(style.stage_colours("abcd").values())) == 4


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([1.0, 0.009], True),
        ([1.0, 0.011], False),
        ([1.0, 0.0], False),
        ([1.0, -0.001], False),
        ([math.nan, math.inf, 1.0, 0.001], True),
        ([math.nan], False),
        ([], False),
    ],
)
def test_a_log_scale_is_for_more_than_two_decades(values: list[float], is_log: bool) -> None:
    assert style.needs_log_scale(values) is is_log


@pytest.mark.parametrize(
    ("text", "short"), [("abcdefg", "abcdefg"), ("abcdefgh", "abc…fgh"), ("x" * 100, "xxx…xxx")]
)
def test_long_texts_lose_their_middle(text: str, short: str) -> None:
    assert style.elided(text, 7) == short


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (5.0, 5.0), (-1.0, -1.0), (-2.0, 3.0)])
def test_limits_have_room_around_values(low: float, high: float) -> None:
    wider = style.extended(low, high)
    assert wider[0] < low <= high < wider[1]


def test_the_users_own_settings_stay_out_and_come_back() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        with style.styled():
            assert mpl.rcParams["font.size"] == style.FONT_SIZE_POINTS
        assert mpl.rcParams["font.size"] == 31.0
