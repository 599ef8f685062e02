"""The numbers of whole studies, before and while they run."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from phasetune.plan.planner import Planner
from phasetune.plan.span import Span
from phasetune.plan.survey import MOST, StageSurvey, StudySurvey, Winner, survey
from phasetune.plan.trial import PhasePlan, Run

MakePlanner = Callable[..., Planner]

SIGMAS = [0.10, 0.12, 0.15, 0.20]
REFERENCE: dict[str, Any] = {
    "params": {
        "pretrain": {"hidden_size": 128, "epochs": 50},
        "finetune": {"num_heads": 8, "time_warp_sigma": 0.12},
    },
    "baseline": {"finetune.time_warp_sigma": 0.20},
    "phases": [
        {"name": "timewarp", "grid": {"finetune.time_warp_sigma": SIGMAS}},
        {
            "name": "architecture",
            "points": [
                {"pretrain.hidden_size": 64, "finetune.num_heads": 4},
                {"pretrain.hidden_size": 128, "finetune.num_heads": 8},
                {"pretrain.hidden_size": 128, "finetune.num_heads": 4},
            ],
        },
        {"name": "depth", "grid": {"pretrain.epochs": [50, 75, 100]}},
    ],
}


def surveyed(
    planner: Planner,
    decided: Callable[[PhasePlan], Winner | None] = lambda _: None,
    is_stored: Callable[[Run], bool] = lambda _: False,
) -> StudySurvey:
    return survey(planner, decided=decided, is_stored=is_stored)


def wins(names: Iterable[str]) -> Callable[[PhasePlan], Winner | None]:
    """Phases in which one of these trials takes part are decided for it."""

    def decided(plan: PhasePlan) -> Winner | None:
        found = [trial for trial in plan.trials if trial.name in names]
        return (found[0].name, found[0].settings) if found else None

    return decided


def stage(found: StudySurvey, name: str) -> StageSurvey:
    return next(entry for entry in found.stages if entry.stage == name)


def two_phases(first: dict[str, list[Any]], second: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [{"name": "first", "grid": first}, {"name": "second", "grid": second}]


def test_the_reference_study_in_numbers(planner: MakePlanner) -> None:
    found = surveyed(planner(**REFERENCE))
    assert (found.trials, found.settings) == (10, Span(low=8, high=8))
    assert stage(found, "pretrain").distinct == Span(low=4, high=4)
    assert (found.combinations, found.is_exhaustive) == (4 * 3, True)
    assert [phase.new for phase in found.phases] == [
        Span(low=5, high=5),
        Span(low=3, high=3),
        Span(low=4, high=4),
    ]


def test_the_baseline_is_extra_unless_the_winner_brings_it_about(planner: MakePlanner) -> None:
    found = surveyed(planner(**REFERENCE))
    assert [phase.has_extra_baseline for phase in found.phases] == [False, True, True]
    assert [phase.asked for phase in found.phases] == [
        Span(low=8, high=8),
        Span(low=6, high=8),
        Span(low=6, high=8),
    ]


@pytest.mark.parametrize(("folds", "trained"), [(None, 1), (2, 2), (5, 5)])
def test_the_trials_alone_and_what_they_share_leave_baseline_and_final_out(
    planner: MakePlanner, folds: int | None, trained: int
) -> None:
    found = surveyed(planner(**REFERENCE, replicates={"folds": folds}))
    pretrained, finetuned, tested = found.stages
    assert (str(pretrained.alone), str(pretrained.shared)) == ("10", "4")
    assert (str(finetuned.alone), str(finetuned.shared)) == (str(10 * trained), str(8 * trained))
    assert (str(tested.alone), str(tested.shared), str(tested.asked)) == ("0", "0", "1")
    # an extra baseline in the later phases unless the winner before brings it about, and a refit
    assert str(pretrained.asked) == "11-13"
    assert str(finetuned.asked) == f"{10 * trained + 1}-{12 * trained + 1}"


def test_a_baseline_that_is_no_point_is_asked_for_but_not_among_what_trials_share(
    planner: MakePlanner,
) -> None:
    baseline = {"pretrain.hidden_size": 256, "finetune.time_warp_sigma": 0.5}
    pretrained, finetuned, _ = surveyed(planner(**{**REFERENCE, "baseline": baseline})).stages
    assert (str(pretrained.shared), str(pretrained.distinct)) == ("4", "5")
    assert (str(finetuned.shared), str(finetuned.distinct)) == ("8", "10")  # and the refit
    assert (str(finetuned.alone), str(finetuned.asked)) == ("10", str(10 + 3 + 1))


def test_the_order_of_points_changes_no_number(planner: MakePlanner) -> None:
    phases = [
        {"name": "timewarp", "grid": {"finetune.time_warp_sigma": SIGMAS[::-1]}},
        *REFERENCE["phases"][1:],
    ]
    forward, backward = (
        surveyed(planner(**{**REFERENCE, "phases": order}))
        for order in (REFERENCE["phases"], phases)
    )
    assert forward.stages == backward.stages
    assert forward.phases[1:] == backward.phases[1:]


def test_later_phases_are_ranges_over_possible_winners(planner: MakePlanner) -> None:
    # where 64 wins, the second phase's 64 with 50 epochs is its winner; where 32 wins, it is new
    phases = [
        {"name": "first", "points": [{"pretrain.hidden_size": 32}, {"pretrain.hidden_size": 64}]},
        {
            "name": "second",
            "points": [
                {"pretrain.hidden_size": 64, "pretrain.epochs": 50},
                {"pretrain.epochs": 75},
                {"pretrain.hidden_size": 64, "pretrain.epochs": 75, "finetune.epochs": 9},
            ],
        },
    ]
    found = surveyed(planner(phases=phases))
    # 32 wins: 32/50, 64/50, 32/75, 64/75; 64 wins: 32/50, 64/50, 64/75
    assert stage(found, "pretrain").distinct == Span(low=3, high=4)
    assert found.phases[0].new == Span(low=4, high=4)
    assert found.phases[1].new == Span(low=1 + 2, high=2 + 2)
    assert str(stage(found, "pretrain").distinct) == "3-4"


@pytest.mark.parametrize(
    ("winner", "pretrainings"), [("first-hidden_size=32", 4), ("first-hidden_size=64", 3)]
)
def test_a_decided_phase_narrows_the_ranges(
    planner: MakePlanner, winner: str, pretrainings: int
) -> None:
    second = [
        {"pretrain.epochs": 75},
        {"pretrain.hidden_size": 64, "pretrain.epochs": 75, "finetune.epochs": 9},
    ]
    phases = [
        {"name": "first", "grid": {"pretrain.hidden_size": [32, 64]}},
        {"name": "second", "points": second},
    ]
    found = surveyed(planner(phases=phases), decided=wins([winner]))
    assert stage(found, "pretrain").distinct == Span(low=pretrainings, high=pretrainings)
    assert found.combinations == 1
    assert [phase.winner for phase in found.phases] == [winner, None]


def test_the_carried_settings_are_a_possible_winner_where_they_may_be_kept(
    planner: MakePlanner,
) -> None:
    phases = two_phases({"pretrain.hidden_size": [32, 64]}, {"finetune.epochs": [1, 2]})
    stops, keeps = (
        surveyed(planner(phases=phases, if_infeasible=then)) for then in ("stop", "keep_carried")
    )
    assert (stops.combinations, keeps.combinations) == (2, 3)
    assert stage(stops, "pretrain").distinct == Span(low=2, high=2)
    assert stage(keeps, "pretrain").distinct == Span(low=2, high=3)


@pytest.mark.parametrize(
    ("count", "keeps", "combinations", "is_exhaustive"),
    [
        (MOST, False, MOST, True),
        (MOST + 1, False, 1, False),
        (MOST - 1, True, MOST, True),
        (MOST, True, 1, False),
    ],
)
def test_up_to_a_thousand_combinations_are_gone_through(
    planner: MakePlanner, count: int, keeps: bool, combinations: int, is_exhaustive: bool
) -> None:
    sigmas = [number / 10_000 for number in range(count)]
    phases = two_phases({"finetune.time_warp_sigma": sigmas}, {"pretrain.epochs": [60]})
    then = "keep_carried" if keeps else "stop"
    found = surveyed(planner(phases=phases, if_infeasible=then))
    assert (found.combinations, found.is_exhaustive) == (combinations, is_exhaustive)
    assert found.trials == count + 1


def test_beyond_a_thousand_the_first_points_win(planner: MakePlanner) -> None:
    sizes = {"pretrain.hidden_size": [64, *range(128, 128 + 8 * MOST, 8)]}
    second = {"pretrain.hidden_size": [64, 128, 8]}
    found = surveyed(planner(phases=two_phases(sizes, second)))
    assert not found.is_exhaustive
    assert found.phases[1].trials == tuple(f"second-hidden_size={n}" for n in (64, 128, 8))
    assert found.phases[1].new == Span(low=2, high=2)


def test_a_large_phase_that_is_decided_has_one_winner(planner: MakePlanner) -> None:
    sigmas = [number / 10_000 for number in range(MOST + 1)]
    phases = [
        *two_phases({"finetune.time_warp_sigma": sigmas}, {"pretrain.hidden_size": [64, 128]}),
        {"name": "third", "grid": {"finetune.epochs": [1, 2]}},
    ]
    found = surveyed(planner(phases=phases), decided=wins({f"first-time_warp_sigma={sigmas[-1]}"}))
    assert (found.combinations, found.is_exhaustive) == (2, True)


def test_what_the_store_has_is_not_missing(planner: MakePlanner) -> None:
    made = planner(**REFERENCE)
    first = made.phase(0, made.base_settings())
    stored = {run.key for trial in first.trials for run in trial.runs}
    found = surveyed(made, is_stored=lambda run: run.key in stored)
    assert [phase.missing for phase in found.phases] == [
        Span(low=0, high=0),
        Span(low=3, high=3),
        Span(low=4, high=4),
    ]
    assert stage(found, "pretrain").missing == Span(low=3, high=3)


def test_a_stored_key_is_asked_for_once(planner: MakePlanner) -> None:
    asked: list[str] = []

    def is_stored(run: Run) -> bool:
        asked.append(run.key)
        return False

    surveyed(planner(**REFERENCE), is_stored=is_stored)
    assert asked
    assert len(asked) == len(set(asked))


def test_the_final_refit_and_test_are_counted(planner: MakePlanner) -> None:
    with_final, without = (
        surveyed(planner(final={"refit": on, "test": on})) for on in (True, False)
    )
    assert [entry.stage for entry in with_final.stages] == ["pretrain", "finetune", "test"]
    assert [entry.stage for entry in without.stages] == ["pretrain", "finetune"]
    assert stage(with_final, "finetune").distinct == Span(low=5, high=5)
    assert stage(without, "finetune").distinct == Span(low=4, high=4)


def test_replicates_multiply_what_reads_labelled_data(planner: MakePlanner) -> None:
    found = surveyed(planner(replicates={"seeds": 2, "folds": 3}))
    (phase,) = found.phases
    assert (phase.replicates, phase.asked) == (6, Span(low=4 * (1 + 6), high=4 * (1 + 6)))
    assert phase.new == Span(low=1 + 4 * 6, high=1 + 4 * 6)
