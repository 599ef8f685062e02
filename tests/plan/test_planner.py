import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.plan.planner import Planner
from phasetune.plan.points import points_of
from phasetune.plan.share import distinct_runs
from phasetune.plan.trial import PhasePlan, Trial
from phasetune.study.schema import Phase

MakePlanner = Callable[..., Planner]

ARCHITECTURES = (
    {"pretrain.hidden_size": 64, "finetune.num_heads": 4},
    {"pretrain.hidden_size": 128, "finetune.num_heads": 8, "note": "recommended"},
    {"pretrain.hidden_size": 128, "finetune.num_heads": 4},
)
BASE = {
    "pretrain": {"hidden_size": 128, "epochs": 50},
    "finetune": {"num_heads": 8, "time_warp_sigma": 0.12},
}


def first_phase(planner: Planner) -> PhasePlan:
    return planner.phase(0, planner.base_settings())


def grid(**axes: Sequence[Any]) -> list[dict[str, Any]]:
    """One phase; `finetune__epochs` is the parameter `finetune.epochs`."""
    named = {name.replace("__", "."): list(values) for name, values in axes.items()}
    return [{"name": "one", "grid": named}]


def points(*given: Mapping[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "one", "points": [dict(point) for point in given], **fields}]


def keys(trials: Sequence[Trial], stage: str) -> set[str]:
    return {run.key for run in distinct_runs(trials) if run.stage == stage}


def names(planner: Planner) -> list[str]:
    return [trial.name for trial in first_phase(planner).trials]


def test_trials_that_differ_in_a_later_stage_share_the_earlier_ones(planner: MakePlanner) -> None:
    trials = first_phase(planner()).trials
    assert len(trials) == 4
    assert len(keys(trials, "pretrain")) == 1
    assert len(keys(trials, "finetune")) == 4


def test_replicates_share_the_stages_that_read_no_labelled_data(planner: MakePlanner) -> None:
    trials = first_phase(planner(replicates={"seeds": 3, "folds": 5})).trials
    assert [len(trial.replicates) for trial in trials] == [15] * 4
    assert len(keys(trials, "pretrain")) == 1
    assert len(keys(trials, "finetune")) == 4 * 15


def test_a_workload_without_labelled_data_is_not_repeated(planner: MakePlanner) -> None:
    unlabelled = planner().workload.stages[0]
    many: dict[str, Any] = {
        "phases": grid(pretrain__epochs=[1, 2]),
        "replicates": {"seeds": 2, "folds": 3},
        "check": None,
    }
    labelled = replace(unlabelled, reads=("train",))
    assert len(first_phase(planner(stages=(labelled,), **many)).trials[0].replicates) == 6
    (single,) = first_phase(planner(stages=(unlabelled,), **many)).trials[0].replicates
    assert (single.fold, single.scored.fold) == (None, None)


def test_seeds_and_folds_are_paired_and_equal_for_every_trial(planner: MakePlanner) -> None:
    trials = first_phase(planner(replicates={"seeds": 2, "folds": 3})).trials
    repetitions = [
        [(one.seed_index, one.fold, one.scored.seed) for one in trial.replicates]
        for trial in trials
    ]
    assert all(other == repetitions[0] for other in repetitions)
    indices = [(one.seed_index, one.fold and one.fold.index) for one in trials[0].replicates]
    assert indices == list(product(range(2), range(3)))
    assert len({seed for _, _, seed in repetitions[0]}) == 2
    assert len({one.fold.seed for one in trials[0].replicates if one.fold}) == 1


def test_seeds_do_not_depend_on_parameters_or_their_order(planner: MakePlanner) -> None:
    forward = first_phase(
        planner(phases=grid(finetune__time_warp_sigma=[0.1, 0.2], pretrain__epochs=[1, 2]))
    )
    backward = first_phase(
        planner(phases=grid(pretrain__epochs=[2, 1], finetune__time_warp_sigma=[0.2, 0.1]))
    )
    assert {trial.key for trial in forward.trials} == {trial.key for trial in backward.trials}
    assert len({run.seed for run in distinct_runs(forward.trials)}) == 2  # one per stage


def test_another_study_seed_gives_other_seeds_and_folds(planner: MakePlanner) -> None:
    one, other = (first_phase(planner(seed=seed)).trials[0].replicates[0] for seed in (1, 2))
    assert [run.seed for run in one.runs] != [run.seed for run in other.runs]
    assert one.fold != other.fold


def test_a_hold_out_is_the_first_of_five_folds(planner: MakePlanner) -> None:
    held_out = first_phase(planner()).trials
    folded = first_phase(planner(replicates={"folds": 5})).trials
    assert [trial.replicates[0].scored.key for trial in held_out] == [
        trial.replicates[0].scored.key for trial in folded
    ]
    assert [len(trial.replicates) for trial in held_out] == [1] * 4


@pytest.mark.parametrize(
    ("fields", "scored", "folds"),
    [
        ({}, "finetune", [0]),
        ({"replicates": {"folds": 2}}, "finetune", [0, 1]),
        ({"objective": {"metric": "accuracy", "on": "test"}}, "test", [None]),
        (
            {"objective": {"metric": "accuracy", "on": "test"}, "replicates": {"folds": 2}},
            "test",
            [0, 1],
        ),
        (
            {"objective": {"metric": "accuracy", "on": "test"}, "replicates": {"seeds": 2}},
            "test",
            [None, None],
        ),
    ],
)
def test_what_is_scored_and_what_is_held_out(
    planner: MakePlanner, fields: dict[str, Any], scored: str, folds: list[int | None]
) -> None:
    replicates = first_phase(planner(**fields)).trials[0].replicates
    assert [one.scored.stage for one in replicates] == [scored] * len(folds)
    assert [one.fold and one.fold.index for one in replicates] == folds


def test_new_test_data_re_runs_no_training(planner: MakePlanner) -> None:
    old, new = (planner(data={"test": content}) for content in ("s1", "s2"))
    assert [t.key for t in first_phase(old).trials] == [t.key for t in first_phase(new).trials]
    finals = [p.final(first_phase(p).trials[0].settings) for p in (old, new)]
    changed = [a.key != b.key for a, b in zip(_runs(finals[0]), _runs(finals[1]), strict=True)]
    assert changed == [False, False, True]


def _runs(trial: Trial | None) -> Any:
    assert trial is not None
    return trial.runs


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"data": {"train": "t2"}}, [False, True]),
        ({"data": {"unlabeled": "u2"}}, [True, True]),
        ({"code": "c2"}, [True, True]),
        ({"numerics": {"threads": 2}}, [True, True]),
        ({"params": {"pretrain": {"epochs": 51}}}, [True, True]),
        ({"params": {"finetune": {"epochs": 51}}}, [False, True]),
        ({"params": {"pretrain": {"epochs": 50}}}, [False, False]),
        ({"name": "other", "description": "text"}, [False, False]),
        ({"resources_per_trial": {"cpu": 2}, "max_concurrent_trials": 2}, [False, False]),
        ({"constraints": ["accuracy >= 0.5"], "ties": "prefer_first"}, [False, False]),
        ({"final": {"refit": False}, "max_failures": 0}, [False, False]),
    ],
)
def test_a_change_of_the_study_re_runs_what_it_touches(
    planner: MakePlanner, fields: dict[str, Any], changed: list[bool]
) -> None:
    before, after = first_phase(planner()).trials[0].runs, first_phase(planner(**fields)).trials[0]
    assert [a.key != b.key for a, b in zip(before, after.runs, strict=True)] == changed


def test_names_and_notes_are_no_part_of_what_is_computed(planner: MakePlanner) -> None:
    plain = first_phase(planner(phases=points({"finetune.epochs": 1})))
    about = {"finetune.epochs": 1, "note": "a note", "expect": {"accuracy": [0.6, 0.7]}}
    told = first_phase(planner(phases=points(about, trial_name="named")))
    assert told.trials[0].key == plain.trials[0].key
    assert (told.trials[0].name, told.trials[0].note) == ("named", "a note")
    assert told.trials[0].expect == {"accuracy": (0.6, 0.7)}


def test_equal_values_of_other_types_are_one_setting(planner: MakePlanner) -> None:
    whole, real = (
        first_phase(planner(phases=grid(finetune__time_warp_sigma=[value]))) for value in (1, 1.0)
    )
    assert whole.trials[0].key == real.trials[0].key


def test_extending_a_grid_keeps_what_was_computed(planner: MakePlanner) -> None:
    small = first_phase(planner(phases=grid(finetune__epochs=[1, 2])))
    large = first_phase(
        planner(phases=grid(finetune__epochs=[3, 1, 2]), replicates={"seeds": 2, "folds": 5})
    )
    before, after = distinct_runs(small.trials), distinct_runs(large.trials)
    assert {run.key for run in before} <= {run.key for run in after}
    assert len(after) == 1 + 3 * 10


def test_a_grid_is_the_product_of_its_axes_the_last_one_fastest() -> None:
    phase = Phase.model_validate({"name": "one", "grid": {"a.x": [1, 2], "a.y": [3, 4]}})
    assert [tuple(point.params.values()) for point in points_of(phase)] == [
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
    ]


def test_a_winner_s_settings_are_carried_into_the_next_phase(planner: MakePlanner) -> None:
    depth = {"name": "depth", "grid": {"pretrain.epochs": [50, 75]}}
    plans = planner(phases=[*grid(finetune__time_warp_sigma=[0.1, 0.2]), depth])
    winner = first_phase(plans).trials[1]
    second = plans.phase(1, winner.settings)
    assert [trial.settings["finetune.time_warp_sigma"] for trial in second.trials] == [0.2, 0.2]
    assert [trial.point for trial in second.trials] == [
        {"pretrain.epochs": 50},
        {"pretrain.epochs": 75},
    ]
    assert second.trials[0].key == winner.key
    assert second.carried == winner.settings


@pytest.mark.parametrize("first_winner", range(4))
def test_the_shape_of_the_reference_study(planner: MakePlanner, first_winner: int) -> None:
    architecture = {"name": "architecture", "points": ARCHITECTURES}
    depth = {"name": "depth", "grid": {"pretrain.epochs": [50, 75, 100]}}
    phases = [
        {"name": "timewarp", "grid": {"finetune.time_warp_sigma": [0.10, 0.12, 0.15, 0.20]}},
        architecture,
        depth,
    ]
    plans = planner(params=BASE, phases=phases)
    one = first_phase(plans)
    two = plans.phase(1, one.trials[first_winner].settings)
    three = plans.phase(2, two.trials[1].settings)
    trials = [*one.trials, *two.trials, *three.trials]
    assert len(trials) == 10
    assert len({trial.key for trial in trials}) == 8
    assert len(keys(trials, "pretrain")) == 4
    assert len(keys(trials, "finetune")) == 8


@pytest.mark.parametrize(
    ("fields", "name", "extra"),
    [
        ({}, None, False),
        ({"constraints": ["accuracy >= 0.5"]}, None, False),
        ({"constraints": ["accuracy >= 0.9 * baseline"]}, "timewarp-time_warp_sigma=0.12", False),
        (
            {
                "constraints": ["accuracy >= 0.9 * baseline"],
                "params": {"finetune": {"time_warp_sigma": 0.5}},
            },
            "timewarp-baseline",
            True,
        ),
        ({"baseline": {"finetune.time_warp_sigma": 0.2}}, "timewarp-time_warp_sigma=0.2", False),
        ({"baseline": {"finetune.time_warp_sigma": 0.3}}, "timewarp-baseline", True),
        ({"baseline": {}}, "timewarp-time_warp_sigma=0.12", False),
    ],
)
def test_the_baseline_is_a_point_where_one_equals_it_else_an_extra_trial(
    planner: MakePlanner, fields: dict[str, Any], name: str | None, extra: bool
) -> None:
    plan = first_phase(planner(**fields))
    assert (plan.baseline and plan.baseline.name) == name
    assert len(plan.trials) == 4
    assert len(plan.all_trials) == (5 if extra else 4)
    if name is not None:
        assert plan.trial(name) == plan.baseline


def test_an_explicit_baseline_stays_and_an_implicit_one_moves_with_the_phases(
    planner: MakePlanner,
) -> None:
    phases = [
        *grid(finetune__num_heads=[2, 4]),
        {"name": "two", "grid": {"pretrain.epochs": [7, 8]}},
    ]
    moving = planner(phases=phases, constraints=["accuracy >= baseline"])
    fixed = planner(phases=phases, baseline={"finetune.epochs": 9})
    carried = first_phase(moving).trials[1].settings
    assert _baseline(moving.phase(1, carried)).settings == carried
    assert _baseline(fixed.phase(1, carried)).settings == {
        **fixed.base_settings(),
        "finetune.epochs": 9,
    }


def _baseline(plan: PhasePlan) -> Trial:
    assert plan.baseline is not None
    return plan.baseline


def test_a_baseline_shares_what_it_has_in_common_with_the_trials(planner: MakePlanner) -> None:
    plan = first_phase(planner(baseline={"finetune.time_warp_sigma": 0.3}))
    assert len(keys(plan.all_trials, "pretrain")) == 1
    assert _baseline(plan).point == {"finetune.time_warp_sigma": 0.3}


def test_names_of_a_phase_differ_from_its_baseline_s(planner: MakePlanner) -> None:
    plans = planner(
        phases=points({"finetune.epochs": 1}, trial_name="one-baseline"),
        baseline={"finetune.epochs": 2},
    )
    with pytest.raises(PlanError, match=r"phases\.one\.trial_name: 'one-baseline' is the baseline"):
        first_phase(plans)


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (grid(finetune__epochs=[1, 2]), ["one-epochs=1", "one-epochs=2"]),
        (
            grid(finetune__epochs=[1], finetune__num_heads=[4, 8]),
            ["one-num_heads=4", "one-num_heads=8"],
        ),
        (
            grid(finetune__epochs=[1], pretrain__epochs=[2, 3]),
            ["one-epochs=2", "one-epochs=3"],
        ),
        (
            grid(finetune__epochs=[1, 2], pretrain__epochs=[3, 4])[:1],
            [
                f"one-finetune.epochs={first}-pretrain.epochs={second}"
                for first, second in ((1, 3), (1, 4), (2, 3), (2, 4))
            ],
        ),
        (points({"finetune.epochs": 1, "finetune.num_heads": 4}), ["one-epochs=1-num_heads=4"]),
        (points({}), ["one"]),
        (
            points({"finetune.epochs": 1}, {"finetune.num_heads": 4}),
            ["one-epochs=1-num_heads=8", "one-epochs=50-num_heads=4"],
        ),
        (
            points(
                {"finetune.optimizer": {"lr": 1}},
                {"finetune.optimizer": {"lr": 2}},
                {"finetune.num_heads": 4},
            ),
            [
                "one-lr=1.0-momentum=0.9-num_heads=8",
                "one-lr=2.0-momentum=0.9-num_heads=8",
                "one-num_heads=4",
            ],
        ),
        (
            points({"finetune.optimizer.lr": 1}, {"finetune.optimizer.lr": 2}),
            ["one-lr=1.0", "one-lr=2.0"],
        ),
        (
            points(
                {"finetune.epochs": 1}, {"finetune.epochs": 2}, trial_name="e{finetune.epochs:03d}"
            ),
            ["e001", "e002"],
        ),
    ],
)
def test_names_tell_what_differs(
    planner: MakePlanner, phases: list[dict[str, Any]], expected: list[str]
) -> None:
    assert names(planner(phases=phases)) == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"phases": grid(finetune__time_warp_sigma=[0.1, 0.2, 1e-1])},
            r"phases\.one: points 0 and 2 \(counted from 0\) are the same setting; keep one",
        ),
        (
            {"phases": points({"finetune.epochs": 50}, {"finetune.num_heads": 8})},
            r"phases\.one: points 0 and 1",
        ),
        (
            {"phases": points({"finetune.epochs": 1}, {"finetune.epochs": 2}, trial_name="same")},
            r"phases\.one\.trial_name: two trials are named 'same'; name what they differ in",
        ),
        (
            {"phases": points({"finetune.label": "a/b"}, trial_name="{finetune.label}")},
            r"phases\.one\.trial_name: gives 'a/b'; a name must be 1 to 100 ASCII letters",
        ),
        (
            {"phases": grid(finetune__time_warp_sigma=[float("nan")])},
            r"^finetune\.time_warp_sigma is NaN",
        ),
        (
            {"phases": grid(finetune__epochs=["many"])},
            r"^finetune\.epochs: must be a valid integer.*'many'",
        ),
        (
            {"baseline": {"finetune.epochs": "many"}},
            r"^baseline: finetune\.epochs: must be a valid integer.*'many'",
        ),
        (
            {"baseline": {"finetune.num_heads": 3}},
            r"^trial baseline: pretrain\.hidden_size must be a multiple",
        ),
    ],
)
def test_a_phase_that_can_t_be_planned_says_why(
    planner: MakePlanner, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        first_phase(planner(**fields))


def test_rules_across_stages_are_reported_for_every_trial_at_once(planner: MakePlanner) -> None:
    plans = planner(phases=grid(finetune__num_heads=[4, 5, 8, 7]))
    with pytest.raises(PlanError) as caught:
        first_phase(plans)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "trial one-num_heads=5",
        "trial one-num_heads=7",
    ]


@pytest.mark.parametrize(
    ("final", "stages", "fold"),
    [
        ({"refit": True, "test": True}, ["pretrain", "finetune", "test"], None),
        ({"refit": True, "test": False}, ["pretrain", "finetune"], None),
        ({"refit": False, "test": True}, ["pretrain", "finetune", "test"], 0),
    ],
)
def test_final_refits_and_tests_what_is_asked(
    planner: MakePlanner, final: dict[str, bool], stages: list[str], fold: int | None
) -> None:
    plans = planner(final=final, replicates={"folds": 3})
    winner = first_phase(plans).trials[0]
    trial = plans.final(winner.settings)
    assert trial is not None
    (replicate,) = trial.replicates
    assert [run.stage for run in replicate.runs] == stages
    assert (replicate.fold and replicate.fold.index) == fold
    reused = [run.key for run in replicate.runs if run in winner.runs]
    assert len(reused) == (1 if fold is None else 2)  # pre-training, and without refit all training


def test_final_is_nothing_where_nothing_is_asked(planner: MakePlanner) -> None:
    plans = planner(final={"refit": False, "test": False})
    assert plans.final(plans.base_settings()) is None
    trained = plans.workload.training_stages
    plans = planner(stages=trained, final={"refit": False, "test": True})
    assert plans.final(plans.base_settings()) is None


WIDE = {f"finetune.{name}": list(range(1000)) for name in ("epochs", "num_heads", "sizes")}
TWO = [{"name": name, "grid": {"finetune.epochs": list(range(6000))}} for name in ("one", "two")]
MANY_FOLDS = {"seeds": 1000, "folds": 1000}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"phases": TWO}, "has 12000 trials; for more than 10000 set allow_large: true"),
        (
            {"phases": TWO[:1], "replicates": {"folds": 2}},
            "has 6000 trials x 2 replicates; for more than 10000 set allow_large: true",
        ),
        (
            {"phases": [{"name": "one", "grid": WIDE}], "allow_large": True},
            "has 1000000000 trials; more than 100000 can't be planned, so make the grids smaller",
        ),
        (
            {"replicates": MANY_FOLDS, "allow_large": True},
            "x 1000000 replicates; more than 100000 can't be planned",
        ),
    ],
)
def test_too_many_trials_are_refused_before_they_are_made(
    planner: MakePlanner, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PlanError, match=re.escape(problem)):
        planner(**changes)


def test_a_large_study_is_planned_where_that_is_asked_for(planner: MakePlanner) -> None:
    phases = grid(finetune__epochs=range(10_001))
    with pytest.raises(PlanError, match="has 10001 trials"):
        planner(phases=phases)
    assert planner(phases=phases, allow_large=True).study.allow_large


def test_a_grid_of_5000_trials_has_its_runs_and_names(planner: MakePlanner) -> None:
    phases = grid(
        finetune__time_warp_sigma=[i / 100 for i in range(50)], pretrain__epochs=range(100)
    )
    plan = first_phase(planner(phases=phases))
    assert len({trial.name for trial in plan.trials}) == 5000
    assert len(keys(plan.trials, "pretrain")) == 100
    assert len(keys(plan.trials, "finetune")) == 5000


class Sized(BaseModel):
    size: int


def test_a_base_may_lack_what_the_first_phase_sets(planner: MakePlanner) -> None:
    first, *others = planner().workload.stages
    fields: dict[str, Any] = {
        "stages": (replace(first, params=Sized), *others),
        "phases": grid(pretrain__size=[1, 2]),
        "check": None,
    }
    plans = planner(**fields)
    assert plans.base_settings() == {}
    assert [t.settings["pretrain.size"] for t in first_phase(plans).trials] == [1, 2]
    with pytest.raises(PlanError, match=re.escape("baseline: pretrain.size: is missing")):
        first_phase(planner(**fields, constraints=["accuracy >= baseline"]))
