"""How long runs, phases and studies still take, from what was seen of them."""

import pytest

from happenings import (
    STARTED,
    Told,
    begins,
    decided,
    done,
    fails,
    judged,
    phase,
    picture,
    reports,
    starts,
    wave,
)


@pytest.mark.parametrize(
    ("told", "left"),
    [
        pytest.param([(0, starts("a", steps=10))], None, id="no report yet"),
        pytest.param([(0, starts("a")), (2, reports("a", 1))], None, id="steps are not known"),
        pytest.param(
            [(0, starts("a", steps=10)), (4, reports("a", 1)), (8, reports("a", 2))],
            8 * 4 - 2,
            id="from its start",
        ),
        pytest.param(
            [(0, starts("a", steps=10)), (4, reports("a", 7))], None, id="it went on, one report"
        ),
        pytest.param(
            [(0, starts("a", steps=10)), (6, reports("a", 7)), (8, reports("a", 8))],
            2 * 2 - 2,
            id="it went on, from its first report",
        ),
        pytest.param(
            [(0, starts("a", steps=10)), (1, reports("a", 9)), (2, reports("a", 10))],
            0,
            id="its last step is reported",
        ),
        pytest.param(
            [(0, starts("a", steps=10)), (9, reports("a", 5)), (1, starts("a", steps=10))],
            None,
            id="tried again",
        ),
    ],
)
def test_the_time_left_of_a_run_follows_from_its_steps(told: Told, left: float | None) -> None:
    run = picture(*STARTED, *told).running["a"]
    at = max(told[-1][0], run.step_at) + 2
    assert run.seconds_left(at) == (None if left is None else pytest.approx(left))


def test_a_metric_that_not_each_step_has_keeps_its_last_value() -> None:
    found = picture(
        *STARTED, (3, starts("a")), (4, reports("a", 1, val=0.5)), (5, reports("a", 2, loss=1.0))
    )
    assert found.running["a"].metrics == {"val": 0.5, "loss": 1.0}


@pytest.mark.parametrize(
    ("told", "now", "left"),
    [
        pytest.param([(2, starts("a"))], 5, None, id="nothing ended and no steps are known"),
        pytest.param(
            [(2, starts("a")), (12, done("a"))], 12, 30, id="the mean of what ended, one at a time"
        ),
        pytest.param(
            [(2, starts("a")), (2, starts("b")), (12, done("a")), (14, done("b", 12))],
            14,
            2 * 11 / 2,
            id="two at a time",
        ),
        pytest.param(
            [(2, starts("a")), (12, done("a")), (12, starts("b"))],
            16,
            2 * 10 + 6,
            id="what a running one took already counts",
        ),
        pytest.param(
            [(2, starts("a", steps=5)), (4, reports("a", 1))],
            4,
            8 + 3 * 10,
            id="before the first one ended, what running ones promise",
        ),
        pytest.param(
            [(2, starts("a")), (12, fails("a")), (12, starts("b"))],
            13,
            None,
            id="a failure is no pace",
        ),
        pytest.param([(2, starts("a")), (9, decided())], 9, 0, id="decided"),
    ],
)
def test_the_time_left_of_a_phase(told: Told, now: float, left: float | None) -> None:
    assert picture(*STARTED, *told).seconds_left_of_phase(now) == (
        None if left is None else pytest.approx(left)
    )


def test_a_stage_that_never_ran_makes_the_phase_unknown_until_it_did() -> None:
    begun: Told = [(0, begins()), (1, phase(prepare=1, fit=4)), (1, wave(runs=1))]
    prepared: Told = [(1, starts("p", stage="prepare")), (5, done("p", 4, stage="prepare"))]
    assert picture(*begun, *prepared).seconds_left_of_phase(5) is None
    fitted: Told = [(5, wave()), (5, starts("a")), (15, done("a"))]
    assert picture(*begun, *prepared, *fitted).seconds_left_of_phase(15) == pytest.approx(30)


def test_the_longest_run_holds_up_the_phase() -> None:
    told: Told = [(2, starts(key, steps=10)) for key in "abcd"]
    told = [*told, (3, reports("a", 9)), (3, reports("a", 9)), (12, reports("b", 1))]
    ended: Told = [(12, done(key, 10)) for key in "acd"]
    assert picture(*STARTED, *told, *ended).seconds_left_of_phase(12) == pytest.approx(90)


def test_the_time_left_of_the_study_takes_trials_ahead_for_those_before() -> None:
    told: Told = [(2, starts("a")), (12, done("a"))]
    found = picture(*STARTED, *told)
    # 4 trials take 10 s that are gone and 30 s that are left; 2 trials are ahead
    assert found.seconds_left_of_study(12) == pytest.approx(30 + 2 * 40 / 4)
    second: Told = [
        (42, decided()),
        (42, phase("two", trials=2, fit=2)),
        (42, wave("two", 2)),
        (42, starts("e")),
    ]
    assert picture(*STARTED, *told, *second).seconds_left_of_study(42) == pytest.approx(20)


def test_what_was_stored_makes_no_trial_look_quick() -> None:
    reused: Told = [(2, judged(name, 0.1, is_reused=True)) for name in "abc"]
    told: Told = [(2, starts("d")), (7, reports("d", 1)), (12, done("d"))]
    found = picture((0, begins()), (1, phase(fit=1)), (2, wave(runs=1)), *reused, *told)
    assert found.seconds_left_of_study(12) == pytest.approx(2 * 10)
