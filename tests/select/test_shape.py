"""What is a decision's document, and what only looks like one."""

from collections.abc import Callable
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune.report.document import report_document
from phasetune.select.shape import is_decision
from stored import finished

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def decision(
    tmp_path_factory: pytest.TempPathFactory, scripted_study: StudyMaker
) -> dict[str, Any]:
    study = scripted_study(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    outcome = finished(study, tmp_path_factory.mktemp("results"))
    found: dict[str, Any] = report_document(outcome.paths)["phases"][0]
    return found


def changed(decision: dict[str, Any], change: Change) -> dict[str, Any]:
    copy = {**decision, "trials": [dict(trial) for trial in decision["trials"]]}
    change(copy)
    return copy


def test_what_was_decided_is_one(decision: dict[str, Any]) -> None:
    assert is_decision(decision)


CHANGES: dict[str, Change] = {
    "no settings": lambda d: d.pop("settings"),
    "no inputs": lambda d: d.update(inputs=None),
    "another outcome": lambda d: d.update(outcome="victory"),
    "a winner of its own": lambda d: d.update(winner="somebody"),
    "a winner that is a list": lambda d: d.update(winner=[]),
    "trials by name": lambda d: d.update(trials={}),
    "a trial that is none": lambda d: d["trials"].append(3),
    "a trial without a key": lambda d: d["trials"][0].pop("key"),
    "a trial without a name": lambda d: d["trials"][0].update(name=["a"]),
    "another standing": lambda d: d["trials"][0].update(standing="tall"),
    "a reason that is none": lambda d: d["trials"][0].update(reason={}),
    "a metric without values": lambda d: d["trials"][0].update(metrics={"score": {"mean": 1.0}}),
    "a metric that is a number": lambda d: d["trials"][0].update(metrics={"score": 1.0}),
    "an environment that is none": lambda d: d.update(environments=["cpu"]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_only_looks_like_one_is_none(case: str, decision: dict[str, Any]) -> None:
    assert not is_decision(changed(decision, CHANGES[case]))


@pytest.mark.parametrize("content", [None, [], "text", 3, {}])
def test_other_content_is_none(content: Any) -> None:
    assert not is_decision(content)
