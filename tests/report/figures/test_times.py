"""What each device did when: starts, own times, lanes, and what was reused."""

import math
from pathlib import Path

import pytest

from phasetune.report.figures.times import device_times, phase_costs
from report.figures.made import Store, figured, run, trial


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_runs_are_in_the_order_of_their_starts_with_the_phase_that_asked_first(
    store: Store,
) -> None:
    store.add("prepare", "p", at=100, seconds=20)
    store.add("fit", "late", at=160, seconds=30)
    store.add("fit", "early", at=120, seconds=30)
    trials = [
        trial("a", [run("prepare", "p"), run("fit", "late")], phase="one"),
        trial("b", [run("prepare", "p"), run("fit", "early")], phase="two"),
    ]
    times = device_times(figured(trials, store))
    assert list(times["key"]) == ["p", "early", "late"]
    assert list(times["phase"]) == ["one", "two", "one"]
    assert list(times["start_seconds"]) == [0, 20, 60]
    assert list(times["seconds"]) == [20, 30, 30]


@pytest.mark.parametrize(
    ("spans", "lanes"),
    [
        ([(0, 10), (10, 10), (20, 5)], [0, 0, 0]),
        ([(0, 30), (5, 10), (20, 5)], [0, 1, 1]),
        ([(0, 10.6), (10, 5)], [0, 0]),
        ([(0, 11.5), (10, 5)], [0, 1]),
    ],
    ids=["one after the other", "at once", "within the clock's second", "beyond it"],
)
def test_what_overlaps_has_a_lane_of_its_own(
    spans: list[tuple[float, float]], lanes: list[int], store: Store
) -> None:
    for index, (start, seconds) in enumerate(spans):
        store.add("fit", str(index), at=start, seconds=seconds)
    trials = [trial(str(index), [run("fit", str(index))]) for index in range(len(spans))]
    times = device_times(figured(trials, store))
    assert list(times["lane"]) == lanes
    ends = times["start_seconds"] + times["seconds"]
    for _, lane in times.assign(end=ends).groupby("lane"):
        assert (lane["start_seconds"].iloc[1:].to_numpy() >= lane["end"].iloc[:-1].to_numpy()).all()


def test_each_host_and_device_has_its_own_lanes(store: Store) -> None:
    for index, (host, device) in enumerate([("x", "cpu"), ("x", "cuda"), ("y", "cuda")]):
        store.add("fit", str(index), host=host, device=device)
    times = device_times(figured([trial(k, [run("fit", k)]) for k in "012"], store))
    assert list(times["lane"]) == [0, 0, 0]


def test_a_trunk_and_the_run_that_made_it_follow_each_other(store: Store) -> None:
    store.add("grow", "t-000006", at=0, seconds=60)
    store.add("grow", "r", at=60, seconds=80, spent=80)
    times = device_times(figured([trial("a", [run("grow", "r", trunk="t", step=6)])], store))
    assert list(times["key"]) == ["t-000006", "r"]
    assert list(times["seconds"]) == [60, 20]


def test_a_run_whose_trunk_is_gone_has_the_trunks_time_before_it(store: Store) -> None:
    store.add("grow", "first", at=-60, seconds=1)
    store.add("grow", "r", at=60, seconds=80, spent=80, written=80)
    trials = [trial("a", [run("grow", "first")], [run("grow", "r", trunk="t", step=6)])]
    times = device_times(figured(trials, store))
    assert list(times["start_seconds"]) == [0, 60]
    assert list(times["seconds"]) == [1, 80]


def test_a_run_that_went_on_counts_from_its_last_start(store: Store) -> None:
    store.add("fit", "f", at=1000, seconds=500, written=1020, resumed=True)
    times = device_times(figured([trial("a", [run("fit", "f")])], store))
    assert list(times["seconds"]) == [20]


def test_files_that_were_copied_later_change_nothing(store: Store) -> None:
    store.add("fit", "f", at=0, seconds=50, written=9999, resumed=True)
    times = device_times(figured([trial("a", [run("fit", "f")])], store))
    assert list(times["seconds"]) == [50]


def test_what_another_study_computed_has_no_place_in_time(store: Store) -> None:
    store.add("prepare", "p", at=-9000, seconds=600, study="other")
    store.add("fit", "f", at=0, seconds=60)
    study = figured([trial("a", [run("prepare", "p"), run("fit", "f")])], store)
    times = device_times(study)
    assert list(times["key"]) == ["f", "p"]
    assert list(times["is_reused"]) == [False, True]
    assert times["start_seconds"].iloc[0] == 0
    assert math.isnan(times["start_seconds"].iloc[1])
    costs = phase_costs(study, times).set_index("stage")
    assert list(costs.loc["prepare", ["computed_minutes", "reused_minutes"]]) == [0, 10]
    assert list(costs.loc["fit", ["computed_minutes", "reused_minutes"]]) == [1, 0]


def test_reused_is_what_trials_would_have_computed_by_themselves(store: Store) -> None:
    store.add("prepare", "p", seconds=60)
    for key in "abc":
        store.add("fit", key, seconds=120)
    trials = [trial(k, [run("prepare", "p"), run("fit", k)], phase="one") for k in "ab"]
    trials += [trial(f"{k}2", [run("prepare", "p"), run("fit", k)], phase="two") for k in "bc"]
    study = figured(trials, store)
    costs = phase_costs(study, device_times(study)).set_index(["phase", "stage"])
    assert costs.to_dict("index") == {
        ("one", "prepare"): {"computed_minutes": 1, "reused_minutes": 1},
        ("one", "fit"): {"computed_minutes": 4, "reused_minutes": 0},
        ("two", "prepare"): {"computed_minutes": 0, "reused_minutes": 2},
        ("two", "fit"): {"computed_minutes": 2, "reused_minutes": 2},
    }


def test_replicates_of_a_trial_are_no_reuse(store: Store) -> None:
    store.add("prepare", "p", seconds=60)
    for key in "ab":
        store.add("fit", key, seconds=60)
    study = figured([trial("t", *([run("prepare", "p"), run("fit", k)] for k in "ab"))], store)
    assert phase_costs(study, device_times(study))["reused_minutes"].eq(0).all()


def test_missing_artifacts_take_no_time(store: Store) -> None:
    study = figured([trial("a", [run("fit", "gone")])], store)
    times = device_times(study)
    assert times.empty
    assert phase_costs(study, times).empty
