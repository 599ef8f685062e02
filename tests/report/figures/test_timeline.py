"""The timeline: pauses are cut, rows are lanes, reused work is hatched."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from phasetune.report.figures.cut_time import cut_time
from phasetune.report.figures.record import FiguredStudy
from phasetune.report.figures.timeline import draw_timeline
from phasetune.report.figures.times import device_times, phase_costs
from report.figures.made import Store, figured, run, trial

NIGHT = 12 * 3600.0


def spans(*pairs: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [(start, end - start) for start, end in pairs], columns=["start_seconds", "seconds"]
    )


@pytest.mark.parametrize(
    ("times", "busy"),
    [
        (spans((0, 100), (150, 1000)), ((0, 1000),)),
        (
            spans((0, 600), (700, 1000), (NIGHT, NIGHT + 60)),
            ((0, 600), (700, 1000), (43200, 43260)),
        ),
        (spans((0, 600), (300, 400), (630, 1000)), ((0, 1000),)),
        (spans((0, 1), (60, 61)), ((0, 61),)),
    ],
    ids=["short pause", "long pauses", "at once", "below a minute"],
)
def test_only_long_pauses_are_cut(
    times: pd.DataFrame, busy: tuple[tuple[float, float], ...]
) -> None:
    assert cut_time(times).busy == busy


def test_a_night_takes_as_little_room_as_any_pause() -> None:
    cut = cut_time(spans((0, 500), (NIGHT, NIGHT + 500)))
    assert cut.place(250) == 250
    assert cut.place(NIGHT) == pytest.approx(500 + cut.break_seconds)
    assert cut.place(NIGHT + 500) == pytest.approx(1000 + cut.break_seconds)
    assert cut.breaks == pytest.approx([500 + cut.break_seconds / 2])
    assert cut.break_seconds < 50


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=20),
    st.lists(st.floats(0, 10**6), min_size=2, max_size=20),
)
def test_what_is_later_is_never_drawn_earlier(
    runs: list[tuple[int, int]], moments: list[float]
) -> None:
    cut = cut_time(spans(*((start, start + seconds) for start, seconds in runs)))
    places = [cut.place(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    for start, seconds in runs:
        assert cut.place(start + seconds) - cut.place(start) == pytest.approx(seconds)


def study(folder: Path, *, lanes: int = 2, second_start: float = NIGHT) -> FiguredStudy:
    """Two phases of runs that share one preparation, with a pause between them."""
    store, trials = Store(folder), []
    store.add("prepare", "p", seconds=120)
    for phase, start in (("one", 120.0), ("two", second_start)):
        for lane in range(lanes):
            key = f"{phase}{lane}"
            store.add("fit", key, at=start, seconds=300)
            trials.append(trial(key, [run("prepare", "p"), run("fit", key)], phase=phase))
    return figured(trials, store)


def panels(made: FiguredStudy) -> list[Axes]:
    times = device_times(made)
    figure = draw_timeline(times, phase_costs(made, times))
    figure.draw_without_rendering()
    return figure.axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_row_per_worker_and_each_phase_by_its_name(tmp_path: Path) -> None:
    above, below = panels(study(tmp_path))
    assert [label.get_text() for label in above.get_yticklabels()] == ["cpu · 1", "cpu · 2"]
    assert texts(above) == ["//", "one", "two"]
    assert [label.get_text() for label in below.get_yticklabels()] == ["one", "two"]
    assert sum(len(boxes.get_paths()) for boxes in above.collections) == 5


def test_a_pause_is_marked_and_said(tmp_path: Path) -> None:
    above, _ = panels(study(tmp_path / "cut"))
    assert above.get_xlabel() == "hours since the first start, pauses cut"
    above, _ = panels(study(tmp_path / "whole", second_start=430.0))
    assert above.get_xlabel() == "minutes since the first start"
    assert "//" not in texts(above)


def test_computed_work_is_solid_and_reused_work_hatched(tmp_path: Path) -> None:
    _, below = panels(study(tmp_path))
    widths = {
        (bar.get_hatch(), round(bar.get_y() + bar.get_height() / 2)): round(bar.get_width(), 6)  # type: ignore[attr-defined]
        for bar in below.patches
    }
    assert widths == {(None, 0): 10.0, ("////", 0): 2.0, (None, 1): 10.0, ("////", 1): 4.0}


def test_a_study_that_computed_nothing_shows_what_it_reused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("fit", "f", study="other", seconds=60)
    store.add("fit", "g", study="other", seconds=59)
    (below,) = panels(figured([trial("t", [run("fit", "f")])], store))
    assert below.get_xlabel() == "minutes of computing for each phase"
    (below,) = panels(figured([trial("t", [run("fit", "g")])], store))
    assert below.get_xlabel() == "seconds of computing for each phase"


@pytest.mark.parametrize("count", [40, 700])
def test_many_runs_and_lanes_can_be_drawn(count: int, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for index in range(count):
        store.add("fit", str(index), at=30 * (index // 40), seconds=30)
    trials = [trial(str(index), [run("fit", str(index))]) for index in range(count)]
    above, _ = panels(figured(trials, store))
    assert len(above.get_yticks()) == 40
    assert sum(len(boxes.get_paths()) for boxes in above.collections) == count
