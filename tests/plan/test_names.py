from typing import Any

import pytest

from phasetune.errors import PlanError
from phasetune.plan.names import default_names, equal_names, templated_name
from phasetune.study.schema import is_safe_name

SETTINGS: dict[str, Any] = {
    "finetune.time_warp_sigma": 0.1,
    "finetune.num_heads": 8,
    "finetune.label": "ab",
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("fixed", "fixed"),
        ("exp_phase1_timewarp_{finetune.time_warp_sigma:.2f}", "exp_phase1_timewarp_0.10"),
        ("h{finetune.num_heads:03d}-{finetune.label}", "h008-ab"),
        ("{finetune.label!s:_<4}", "ab__"),
    ],
)
def test_a_template_is_filled_with_whole_keys(template: str, expected: str) -> None:
    assert templated_name(template, SETTINGS, phase="one") == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{finetune.label:.2f}", "phases.one.trial_name: '{finetune.label:.2f}' can't be filled"),
        ("{finetune.num_heads:s}", "can't be filled"),
        ("{finetune.label.__class__}", "can't be filled: there is no 'finetune.label.__class__'"),
        ("{finetune.label[0]}", "can't be filled"),
        ("{finetune}", "can't be filled"),
        ("{}", "can't be filled"),
        ("{0}", "can't be filled"),
        ("{finetune.label", "can't be filled"),
        ("../{finetune.label}", "gives '../ab'"),
        ("a..b", "gives 'a..b'"),
        (".hidden", "gives '.hidden'"),
        ("{finetune.label}" * 51, "a name must be 1 to 100 ASCII letters"),
    ],
)
def test_a_template_that_gives_no_name_is_refused(template: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        templated_name(template, SETTINGS, phase="one")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.12, 0.2], ["p-x=0.12", "p-x=0.2"]),
        ([1e-05, 100000.0], ["p-x=1e-05", "p-x=100000.0"]),
        ([True, None], ["p-x=true", "p-x=none"]),
        ([[8, 4], [16]], ["p-x=8x4", "p-x=16"]),
        (["ce", "focal"], ["p-x=ce", "p-x=focal"]),
    ],
)
def test_values_are_written_for_people(values: list[Any], expected: list[str]) -> None:
    assert default_names("p", [{"a.x": value} for value in values], ["a.x"]) == expected


@pytest.mark.parametrize(
    "values",
    [
        ["a/b", "a_b"],
        ["a b", "a\tb"],
        ["../../etc", "/etc"],
        ["é", "è"],
        ["x" * 300, "x" * 299 + "y"],
        [{"lr": 1}, {"lr": 2}],
        ["", "."],
        ["a" * 90 + "..", "a" * 90 + "/."],
    ],
)
def test_long_and_unsafe_values_give_safe_and_different_names(values: list[Any]) -> None:
    names = default_names("phase", [{"a.x": value} for value in values], ["a.x"])
    assert all(is_safe_name(name) for name in names)
    assert len(set(names)) == len(names)
    assert all(name.startswith("phase-x=") for name in names)


def test_a_phase_with_the_longest_name_still_has_names_for_its_trials() -> None:
    points = [{"a.x": value} for value in (1, 2)]
    names = default_names("p" * 100, points, ["a.x"])
    assert all(is_safe_name(name) for name in names)
    assert len(set(names)) == 2


def test_short_names_that_clash_are_written_whole_and_others_stay_short() -> None:
    points = [{"a.x": 1, "b.x": 2, "b.y": 3}]
    assert default_names("p", points, ["a.x", "b.x", "b.y"]) == ["p-a.x=1-b.x=2-y=3"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], []), (["a", "b"], []), (["a", "b", "a", "c", "b", "a"], ["a", "b", "a"])],
)
def test_equal_names_are_found(names: list[str], expected: list[str]) -> None:
    assert equal_names(names) == expected
