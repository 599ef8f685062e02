"""Scores and rules in one line each."""

from collections.abc import Callable
from typing import Any

import pytest

from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule
from phasetune.study.constraint import parse_constraint
from phasetune.study.schema import Objective


@pytest.fixture
def score() -> Callable[..., TrialScore]:
    """`score("a", 0, 0.5, 0.6)`: accuracy per replicate; keywords are further metrics or fields.

    A further metric is one number for all replicates or a list with one each.
    """

    def make(
        name: str,
        index: int,
        *accuracy: float,
        ineligible: str | None = None,
        candidate: bool = True,
        baseline: bool = False,
        **metrics: Any,
    ) -> TrialScore:
        columns = {
            metric: value if isinstance(value, list) else [value] * len(accuracy)
            for metric, value in metrics.items()
        }
        return TrialScore(
            name=name,
            index=index,
            key=f"key of {name}",
            replicates=tuple(
                {"accuracy": value, **{metric: column[i] for metric, column in columns.items()}}
                for i, value in enumerate(accuracy)
            ),
            ineligible=ineligible,
            candidate=candidate,
            baseline=baseline,
        )

    return make


@pytest.fixture
def rule() -> Callable[..., Rule]:
    """`rule("recall >= 0.5", mode="min")`: constraints as sentences, accuracy as objective."""

    def make(*constraints: str, mode: str = "max", metric: str = "accuracy", **fields: str) -> Rule:
        return Rule(
            objective=Objective.model_validate({"metric": metric, "mode": mode}),
            constraints=tuple(parse_constraint(text) for text in constraints),
            **fields,
        )

    return make
