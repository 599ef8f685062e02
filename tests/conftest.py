"""Studies of the scripted workload, a listener that remembers, and an object store."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_store import bucket as bucket
from object_store import object_environment as object_environment
from object_store import object_server as object_server
from phasetune import Study
from phasetune.run.events import Event

TESTS = Path(__file__).parent

os.environ["PHASETUNE_TRACKING"] = "none"  # tests of trackers ask for theirs
os.environ["PHASETUNE_PAGE"] = "0"  # and those of pages


@pytest.fixture(autouse=True, scope="session")
def machine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mirrors and leases of tests lie, instead of in this user's home."""
    folder = tmp_path_factory.mktemp("machine")
    os.environ["PHASETUNE_CACHE"] = str(folder)
    return folder


StudyMaker = Callable[..., Study]


class Heard:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="session")
def scripted_study() -> StudyMaker:
    """Three phases: which value, which preparation, how many steps. Changes are top-level keys."""

    def make(**changes: Any) -> Study:
        content: dict[str, Any] = {
            "name": "scripted",
            "workload": "scripted",
            "import_from": [str(TESTS)],
            "seed": 11,
            "objective": {"metric": "score"},
            "constraints": ["other >= 0.3"],
            "phases": [
                {"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4]}},
                {"name": "preparation", "grid": {"prepare.value": [0.5, 0.7]}},
                {"name": "steps", "grid": {"train.steps": [3, 4]}},
            ],
        }
        return Study.model_validate({**content, **changes})

    return make
