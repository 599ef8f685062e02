"""The Python of the command line."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import phasetune
from conftest import TESTS, StudyMaker
from phasetune import (
    StoreError,
    Study,
    StudyError,
    StudyOutcome,
    history,
    load_study,
    plan_study,
    run_study,
    runs,
    trials,
)
from phasetune.plan.span import Span
from phasetune.study.schema import DECISION_FIELDS, RUN_FIELDS

FUNCTIONS = """
from phasetune import Objective, Phase, Point, Study

def small() -> Study:
    return Study(
        name="small", workload="scripted", import_from=(TESTS,),
        objective=Objective(metric="score"),
        phases=(Phase(name="one", points=(Point(params={"train.value": 0.3}),)),),
    )

def number() -> int:
    return 7

def wrong() -> Study:
    return Study(name="wrong", workload="scripted", objective=Objective(metric="x"), phases=())
"""


@pytest.fixture(scope="module")
def outcome(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    results = tmp_path_factory.mktemp("api") / "results"
    return run_study(scripted_study(), results=results, in_process=True)


def functions(folder: Path, module: str) -> None:
    (folder / f"{module}.py").write_text(FUNCTIONS.replace("TESTS", repr(str(TESTS))))


def test_every_public_name_is_there() -> None:
    names: dict[str, Any] = {}
    exec("from phasetune import *", names)  # noqa: S102 - what a user may type
    assert set(phasetune.__all__) <= set(names)
    assert all(names[name] is getattr(phasetune, name) for name in phasetune.__all__)
    assert dir(phasetune) == sorted(phasetune.__all__)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'phasetune' has no attribute 'Stduy'"):
        phasetune.Stduy  # noqa: B018


def test_an_outcome_has_winner_and_decisions(outcome: StudyOutcome) -> None:
    assert outcome.winner is not None
    assert outcome.winner["trial"] == "steps-steps=3"
    assert outcome.winner["settings"]["train.value"] == 0.6
    assert outcome.winner["validation"]["score"]["mean"] == 0.6
    assert outcome.winner["test"]["score"] == 0.5
    assert {name: record["winner"] for name, record in outcome.decisions.items()} == {
        "value": "value-value=0.6",
        "preparation": "preparation-value=0.5",
        "steps": "steps-steps=3",
    }
    assert (outcome.exit_code, outcome.failures) == (0, [])


def test_a_phase_s_trials_are_a_frame(outcome: StudyOutcome) -> None:
    assert list(outcome.phases) == ["value", "preparation", "steps"]
    phase = outcome.phases["value"]
    assert isinstance(phase.trials, pd.DataFrame)
    assert list(phase.trials["train.value"]) == [0.2, 0.6, 0.4]
    assert list(phase.trials["is_winner"]) == [False, True, False]
    assert phase.decision == outcome.decisions["value"]


def test_frames_of_a_results_root(outcome: StudyOutcome) -> None:
    results = outcome.paths.root.parent
    assert (len(trials(results)), len(runs(results)), len(history(str(results)))) == (
        7,
        14,
        7 * 3 + 1,
    )
    assert len(trials(results, study="scripted")) == 7
    with pytest.raises(StoreError, match="holds no study 'other'; it holds: scripted"):
        runs(results, study="other")


def test_a_plan_counts_without_writing(scripted_study: StudyMaker, tmp_path: Path) -> None:
    plan = plan_study(scripted_study(), results=tmp_path / "results")
    assert (plan.study, plan.survey.trials) == ("scripted", 7)
    assert plan.cost.unknown_stages == ("prepare", "train", "test")
    assert not list(tmp_path.iterdir())


def test_a_plan_of_a_finished_study(outcome: StudyOutcome, scripted_study: StudyMaker) -> None:
    plan = plan_study(scripted_study(), results=outcome.paths.root.parent)
    assert all(stage.missing == Span(low=0, high=0) for stage in plan.survey.stages)
    assert [phase.winner for phase in plan.survey.phases] == [
        record["winner"] for record in outcome.decisions.values()
    ]


def test_a_decision_by_another_rule_does_not_narrow_a_plan(
    outcome: StudyOutcome, scripted_study: StudyMaker
) -> None:
    changed = scripted_study(objective={"metric": "score", "mode": "min"})
    plan = plan_study(changed, results=outcome.paths.root.parent)
    assert [phase.winner for phase in plan.survey.phases] == [None, None, None]
    assert plan.survey.combinations == 3 * 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"problem": "rows overlap"}, r"data: rows overlap \(with 5 folds\)"),
        ({"missing": "train"}, "data: the part 'train' can't be read: no such file: train.npz"),
    ],
)
def test_a_plan_checks_the_data_when_asked(
    scripted_study: StudyMaker, tmp_path: Path, data: dict[str, str], sentence: str
) -> None:
    study = scripted_study(data=data)
    assert plan_study(study, results=tmp_path).survey.trials == 7
    with pytest.raises(StudyError, match=sentence):
        plan_study(study, results=tmp_path, check_data=True)


def test_a_damaged_artifact_is_planned_as_missing(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    study = scripted_study(phases=[{"name": "one", "points": [{}]}])
    done = run_study(study, results=tmp_path, in_process=True)
    assert done.result.account.executed
    next((tmp_path / "store" / "test").glob("*/files/chain.txt")).unlink()
    plan = plan_study(study, results=tmp_path)
    assert {stage.stage: stage.missing.high for stage in plan.survey.stages} == {
        "prepare": 0,
        "train": 0,
        "test": 1,
    }


def test_a_study_is_loaded_from_a_study(scripted_study: StudyMaker) -> None:
    study = scripted_study()
    assert load_study(study) == study
    changed = load_study(study, ["seed=5", "phases.value.grid.train.value=[0.1]"])
    assert changed.seed == 5
    assert changed.phases[0].grid == {"train.value": (0.1,)}
    assert changed.phases[1:] == study.phases[1:]


def test_a_study_is_loaded_from_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    functions(tmp_path, "api_functions")
    study = load_study("api_functions:small", ["seed=9"])
    assert (study.name, study.seed) == ("small", 9)
    done = run_study("api_functions:small", in_process=True)
    assert done.winner is not None
    assert done.winner["trial"] == "one-value=0.3"
    assert done.paths.root == tmp_path / "results" / "small"


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("number", "must return a phasetune.Study, but returned 7"),
        ("absent", "absent"),
        ("wrong", "phases"),
    ],
)
def test_a_function_that_makes_no_study_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    functions(tmp_path, "wrong_functions")
    with pytest.raises(StudyError, match=sentence):
        load_study(f"wrong_functions:{function}")


def test_in_process_and_an_address_exclude_each_other(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="exclude each other"):
        run_study(scripted_study(), results=tmp_path / "r", in_process=True, address="auto")
    assert not list(tmp_path.iterdir())


def test_a_study_is_frozen(scripted_study: StudyMaker) -> None:
    study: Study = scripted_study()
    with pytest.raises(ValueError, match="frozen"):
        study.seed = 3  # type: ignore[misc]


NESTED: dict[str, Any] = {
    "numerics": {
        "threads": 2,
        "precision": "bf16",
        "tf32": True,
        "deterministic": False,
        "warn_only": False,
        "cudnn_benchmark": True,
    },
    "resources_per_trial": {"cpu": 2, "gpu": 0, "accelerator": "A100", "labels": {"zone": "b"}},
    "replicates": {"seeds": 2, "folds": 3},
    "objective": {"metric": "other", "mode": "min", "on": "test"},
    "final": {"refit": False, "test": False},
}
PLAIN: dict[str, Any] = {
    "description": "another",
    "sources": ["stored"],
    "seed": 12,
    "data": {"content": "v2"},
    "params": {"prepare": {"other": 0.4}},
    "max_concurrent_trials": 3,
    "max_failures": 1,
    "stall_timeout_seconds": 5.0,
    "max_checkpoint_gib": 1.0,
    "constraints": ["other >= 0.5"],
    "ties": "prefer_first",
    "if_infeasible": "keep_carried",
    "baseline": {"train.value": 0.2},
    "phases": [{"name": "value", "grid": {"train.value": [0.2]}}],
    "tracking": {"jsonl": None},
    "allow_large": True,
}
ELSEWHERE = {"name", "workload", "import_from"}  # another name is another study, and so on


def one_by_one() -> list[Any]:
    nested = [
        pytest.param({field: {name: value}}, f"{field}.{name}", id=f"{field}.{name}")
        for field, values in NESTED.items()
        for name, value in values.items()
    ]
    return nested + [pytest.param({name: value}, name, id=name) for name, value in PLAIN.items()]


def test_every_field_has_another_value_here_nested_ones_too() -> None:
    types = {name: field.annotation for name, field in Study.model_fields.items()}
    nested = {name: kind for name, kind in types.items() if hasattr(kind, "model_fields")}
    assert {name: set(kind.model_fields) for name, kind in nested.items() if kind} == {
        name: set(values) for name, values in NESTED.items()
    }
    assert set(PLAIN) == set(types) - set(nested) - ELSEWHERE


@pytest.mark.parametrize(("change", "field"), one_by_one())
def test_a_changed_field_does_what_its_class_says(
    outcome: StudyOutcome, scripted_study: StudyMaker, change: dict[str, Any], field: str
) -> None:
    if field == "objective.mode":
        change = {"objective": {"metric": "score", "mode": "min"}}
    if field == "objective.on":
        change = {"objective": {"metric": "score", "on": "test"}}
    plan = plan_study(scripted_study(**change), results=outcome.paths.root.parent)
    top = field.partition(".")[0]
    told = any(f"changed since the last run: {field}" in text for text in plan.changes)
    assert told == (top in RUN_FIELDS | DECISION_FIELDS)
    again = "the decision of phase value is made again; the old one is kept"
    assert (again in plan.changes) == told
    if top in RUN_FIELDS:
        missing = {stage.stage: stage.missing for stage in plan.survey.stages}
        distinct = {stage.stage: stage.distinct for stage in plan.survey.stages}
        assert missing == distinct
