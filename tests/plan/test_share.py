from collections.abc import Callable

import pytest

from phasetune.plan.planner import Planner
from phasetune.plan.share import StageSharing, distinct_runs, sharing, waves
from phasetune.plan.trial import Run

MakePlanner = Callable[..., Planner]


def run(key: str, parent: str | None = None) -> Run:
    return Run(key=key, stage=key[0], function="toy:f", params={}, seed=0, fold=None, parent=parent)


CHAINS = (run("p1"), run("f1", "p1"), run("t1", "f1"), run("f2", "p1"), run("p2"), run("f3", "p2"))


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ((), [["p1", "p2"], ["f1", "f2", "f3"], ["t1"]]),
        (("p1",), [["f1", "f2", "p2"], ["t1", "f3"]]),
        (("p1", "p2"), [["f1", "f2", "f3"], ["t1"]]),
        (("p1", "f1"), [["t1", "f2", "p2"], ["f3"]]),
        (("p1", "f1", "t1", "f2", "p2"), [["f3"]]),
        (("p1", "f1", "t1", "f2", "p2", "f3"), []),
    ],
)
def test_a_wave_holds_what_needs_nothing_that_is_not_done(
    done: tuple[str, ...], expected: list[list[str]]
) -> None:
    found = waves(CHAINS, lambda one: one.key in done)
    assert [[one.key for one in wave] for wave in found] == expected


def test_a_run_whose_parent_was_not_asked_for_is_in_the_first_wave() -> None:
    assert waves([run("f1", "elsewhere")], lambda _: False) == ((run("f1", "elsewhere"),),)


def test_equal_runs_exist_once_and_parents_come_first(planner: MakePlanner) -> None:
    plans = planner(replicates={"folds": 2})
    trials = plans.phase(0, plans.base_settings()).trials
    runs = distinct_runs(trials)
    keys = [one.key for one in runs]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {one.key for trial in trials for one in trial.runs}
    assert all(keys.index(one.parent) < keys.index(one.key) for one in runs if one.parent)
    first, second = waves(runs, lambda _: False)
    assert ({one.stage for one in first}, len(first)) == ({"pretrain"}, 1)
    assert ({one.stage for one in second}, len(second)) == ({"finetune"}, 8)


def test_sharing_counts_what_each_trial_takes_alone_and_what_is_distinct(
    planner: MakePlanner,
) -> None:
    plans = planner(replicates={"seeds": 2, "folds": 3})
    assert sharing(plans.phase(0, plans.base_settings()).trials) == (
        StageSharing(stage="pretrain", asked=4, distinct=1),
        StageSharing(stage="finetune", asked=24, distinct=24),
    )


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_a_trial_alone_takes_what_its_replicates_share_once(
    planner: MakePlanner, seeds: int
) -> None:
    plans = planner(replicates={"seeds": seeds, "folds": 3})
    (trial, *_) = plans.phase(0, plans.base_settings()).trials
    assert len(trial.runs) == seeds * 3 * 2
    stages = [one.stage for one in trial.runs_alone]
    assert (stages.count("pretrain"), stages.count("finetune")) == (1, seeds * 3)
    assert trial.runs_alone == distinct_runs([trial])
