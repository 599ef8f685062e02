"""What a backend tells when a run starts."""

from pathlib import Path

import pytest

from conftest import TESTS, Heard
from phasetune import Study, run_study
from phasetune.run.events import RunStarted

TRAINING = """
from pydantic import BaseModel
from phasetune import Stage
import scripted

class Fit(BaseModel):
    epochs: int = 7

class Test(BaseModel):
    value: float = 0.5

Data = scripted.Data
STAGES = (
    Stage(name="fit", params=Fit, function="training:fit", reads=("train",)),
    Stage(name="test", params=Test, function="training:fit", reads=("test",)),
)

def fit(ctx, params):
    return {"score": 1.0}
"""


@pytest.mark.parametrize(("point", "steps"), [({}, 7), ({"fit.epochs": 3}, 3)], ids=str)
def test_a_start_tells_the_epochs_of_its_stage(
    tmp_path: Path, heard: Heard, point: dict[str, int], steps: int
) -> None:
    (tmp_path / "training.py").write_text(TRAINING)
    study = Study.model_validate(
        {
            "name": "s",
            "workload": "training",
            "import_from": [str(tmp_path), str(TESTS)],
            "objective": {"metric": "score"},
            "phases": [{"name": "one", "points": [point]}],
        }
    )
    run_study(study, results=tmp_path / "results", in_process=True, listener=heard)
    told = {event.stage: event.steps for event in heard.of(RunStarted)}
    assert told == {"fit": steps, "test": None}
