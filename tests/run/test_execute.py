"""What is told of a run that failed: its error, and what it took until then."""

import re
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import run_study


@pytest.mark.parametrize(
    ("stage", "fault", "message"),
    [
        ("train", "raise", "ValueError: scripted failure at step 1"),
        ("prepare", "exit", "SystemExit: 3"),
    ],
)
def test_a_traceback_ends_with_what_the_run_took_until_then(
    scripted_study: StudyMaker, tmp_path: Path, stage: str, fault: str, message: str
) -> None:
    points = [{"train.value": 0.4}, {"train.value": 0.9, f"{stage}.fault": fault}]
    study = scripted_study(phases=[{"name": "one", "points": points}])
    outcome = run_study(study, results=tmp_path, in_process=True)
    (failed,) = outcome.failures
    *before, last = failed.traceback.read_text().removesuffix("\n").splitlines()
    assert message in before
    spent = re.fullmatch(r"until then: seconds ([\d.]+), peak_memory_gib ([\d.]+)", last)
    assert spent is not None
    assert 0.0 <= float(spent[1]) < 60.0
    assert float(spent[2]) > 0.01  # an interpreter takes more
    assert failed.failure.message == message
