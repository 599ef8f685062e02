import re
from pathlib import Path

import pytest

from phasetune.errors import StudyError
from phasetune.study.load import load

_WHERE = re.compile(r"^[\w.]+(?: \((?:study\.yaml:\d+|override .*?)\))?: ")


def problems(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(StudyError) as caught:
        load("study.yaml", overrides)
    return tuple(_WHERE.sub("", problem, count=1) for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("params.fitt.rate=1", "the workload has no such stage; did you mean 'fit'?"),
        ("params.fit.raet=1", "is no parameter of 'fit'; did you mean 'rate'?"),
        ("params.fit.optimizer.raet=1", "is no parameter of 'fit'; did you mean 'rate'?"),
        ("params.fit.heads='8'", "must be a number, but is '8'"),
        ("params.fit.heads=8.5", "must be a valid integer, got a number with a fractional part, "),
        ("params.fit.flag=1", "must be a switch (true or false), but is 1"),
        ("params.fit.optimizer.name=x", "must be 'adam' or 'sgd', but is 'x'"),
        ("params.fit=3", "must be a valid mapping, but is 3"),
        ("phases.rates.grid.fit.raet=[1]", "is no parameter of the workload; did you mean 'fit.r"),
        ("phases.rates.grid.rate=[1]", "is no parameter of the workload; did you mean 'fit.rate"),
        ("phases.rates.grid.fit.rate=[1, '2']", "must be a number, but is '2'"),
        ("phases.rates.grid.fit.layers.rate=[1]", "is no parameter of the workload; did you mean"),
        ("phases.rates.grid.fit.optimizer.rate=['1']", "must be a number, but is '1'"),
        ("phases.shapes.points.0.fit.head=3", "is no parameter of the workload; did you mean 'fi"),
        ("phases.shapes.points.1.fit.heads=x", "must be a valid integer, but is 'x'"),
        ("baseline.fit.heads=true", "must be a number, but is True"),
        ("baseline.fit.head=3", "is no parameter of the workload; did you mean 'fit.heads'?"),
        ("data.rows=3.5", "must be a valid integer, got a number with a fractional part"),
    ],
)
def test_values_that_the_workload_does_not_know(home: Path, override: str, problem: str) -> None:
    found = problems(override)
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "override",
    [
        "params.fit.rate=1",
        "params.fit.layers={a: {rate: 1}}",
        "params.fit.clip=.inf",
        "phases.rates.grid.fit.optimizer.rate=[1, 0.5]",
        "phases.rates.grid.fit.optimizer=[{rate: 1}, {name: sgd}]",
        "phases.rates.grid.fit.sizes=[[1, 2], []]",
        "phases.rates.trial_name='rate_{fit.rate:.3f}_{fit.optimizer.rate!s}_{{x}}'",
        "baseline={fit.heads: 2}",
        "replicates={seeds: 2, folds: 3}",
        "objective.on=test",
    ],
)
def test_what_is_allowed(home: Path, override: str) -> None:
    assert load("study.yaml", [override]).study.name == load("study.yaml").study.name


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{fit.raet}", "{fit.raet} is no parameter of the workload; did you mean 'fit.rate'?"),
        ("{rate}", "{rate} is no parameter of the workload; did you mean 'fit.rate'?"),
        ("{fit.rate.real}", "{fit.rate.real} is no parameter of the workload"),
        ("{fit.rate.__class__}", "{fit.rate.__class__} is no parameter of the workload"),
        ("{fit.sizes[0]}", "{fit.sizes[0]} is no parameter of the workload"),
        ("{fit.optimizer}", "{fit.optimizer} is no parameter of the workload"),
        ("{}", "{} is no parameter of the workload; known: fit.clip, "),
        ("{0}", "{0} is no parameter of the workload"),
        ("{fit.rate:{fit.heads}}", "{fit.rate:{fit.heads}} must not have fields inside its format"),
        ("{fit.rate", "'{fit.rate' is no template: expected '}' before end of string"),
        ("fit.rate}", "'fit.rate}' is no template: Single '}' encountered in format string"),
    ],
)
def test_templates(home: Path, template: str, problem: str) -> None:
    found = problems(f'phases.rates.trial_name="{template}"')
    assert len(found) == 1
    assert problem in found[0]


def test_a_required_parameter_is_missing(home: Path) -> None:
    assert problems("params={}") == ("is missing",)


@pytest.mark.parametrize(
    "phase",
    [
        "{name: rates, grid: {fit.heads: [2, 4]}}",
        "{name: rates, points: [{fit.heads: 2}, {fit.heads: 4, note: x}]}",
    ],
)
def test_a_required_parameter_may_be_left_to_the_first_phase(home: Path, phase: str) -> None:
    loaded = load("study.yaml", ["params={}", f"phases.0={phase}"])
    assert loaded.study.params == {}


def test_every_point_must_set_what_is_left_to_the_first_phase(home: Path) -> None:
    phase = "phases.0={name: rates, points: [{fit.heads: 2}, {fit.rate: 4}]}"
    assert problems("params={}", phase) == ("is missing",)


def test_a_later_phase_comes_too_late(home: Path) -> None:
    assert problems("params={}", "phases.1={name: q, grid: {fit.heads: [1]}}") == ("is missing",)


def test_what_is_left_to_the_first_phase_hides_nothing(home: Path) -> None:
    phase = "phases.0={name: rates, grid: {fit.heads: [2, '4'], fit.rate: ['1']}}"
    assert problems("params={fit: {clip: '1'}}", phase) == (
        "must be a number, but is '1'",
        "must be a number, but is '4'",
        "must be a number, but is '1'",
    )


@pytest.fixture
def plain(home: Path) -> None:
    """The workload without labels and without a test stage."""
    text = (home / "toy.py").read_text().replace('reads=("train",)', "reads=()")
    text = "\n".join(line for line in text.splitlines() if 'name="test"' not in line)
    (home / "toy.py").write_text(text + "\n")


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("override", ["replicates.seeds=2", "replicates.folds=5"])
def test_repeating_needs_a_stage_that_reads_labels(override: str) -> None:
    sentence = "no stage of the workload reads 'train', so nothing is repeated"
    assert problems(override) == (sentence,)


@pytest.mark.usefixtures("plain")
def test_an_objective_on_test_needs_a_test_stage() -> None:
    assert problems("objective.on=test") == (
        "no stage of the workload reads 'test'; use 'validation'",
    )


@pytest.mark.usefixtures("plain")
def test_a_plain_workload_is_loaded() -> None:
    assert load("study.yaml", ["replicates.seeds=1"]).workload.test_stages == ()


@pytest.mark.parametrize(
    ("config", "accepted"),
    [("", False), ("extra='forbid'", False), ("extra='allow'", True)],
)
def test_unknown_data_is_refused_unless_its_type_asks_for_it(
    home: Path, config: str, accepted: bool
) -> None:
    text = (home / "toy.py").read_text()
    (home / "toy.py").write_text(
        text.replace("class Data(BaseModel", f"class Data(BaseModel,{config}")
    )
    if accepted:
        assert load("study.yaml", ["data.row=3"]).data.row == 3
    else:
        assert problems("data.row=3") == ("is not known; did you mean 'rows'?",)
