"""A small study that trackers follow."""

from pathlib import Path
from typing import Any

from conftest import TESTS
from phasetune import Study, run_study
from phasetune.store.paths import ResultsPaths
from scripted_tracker import Known, records_of

VALUE = {"name": "value", "grid": {"train.value": [0.2, 0.6]}}
PREPARATION = {"name": "preparation", "grid": {"prepare.value": [0.5, 0.7]}}
WHOLE: dict[str, Any] = {"phases": [VALUE, PREPARATION], "final": {}}
"""Changes that make a study of two phases and a final of it."""


def small_study(**changes: Any) -> Study:
    """One phase without a final."""
    content: dict[str, Any] = {
        "name": "scripted",
        "workload": "scripted",
        "import_from": [str(TESTS)],
        "seed": 11,
        "objective": {"metric": "score"},
        "phases": [VALUE],
        "final": {"refit": False, "test": False},
        "tracking": "jsonl",
    }
    return Study.model_validate({**content, **changes})


def told(results: Path, name: str = "scripted") -> dict[str, Known]:
    """What the tracker `jsonl` was told of a study."""
    return records_of(ResultsPaths(results).study(name).tracking / "records.jsonl", name)


def go(study: Study, results: Path, **options: Any) -> bytes:
    """Run it; the bytes of its report."""
    return run_study(study, results=results, in_process=True, **options).paths.report.read_bytes()
