"""Studies that were run in this process, for reports to be about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import StudyOutcome
from phasetune.api import run_study

Runner = Callable[..., StudyOutcome]


@pytest.fixture
def ran(scripted_study: StudyMaker, tmp_path: Path) -> Runner:
    """Run the scripted study with changes, below `results` of the test's folder."""

    def go(results: str = "results", phase: str | None = None, **changes: Any) -> StudyOutcome:
        study = scripted_study(**changes)
        return run_study(study, results=tmp_path / results, phase=phase, in_process=True)

    return go


@pytest.fixture(scope="session")
def whole(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    """Three phases with a baseline, run once; to read, not to change."""
    results = tmp_path_factory.mktemp("whole") / "results"
    changes: dict[str, Any] = {
        "description": "Why?",
        "baseline": {"train.value": 0.45},
        "params": {"test": {"value": 0.25}},
    }
    return run_study(scripted_study(**changes), results=results, in_process=True)
