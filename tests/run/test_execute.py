"""What is told of a run besides its result: its error, what it took until then, what it printed."""

import re
import sys
from pathlib import Path

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import Study, run_study
from phasetune.run.events import RunFailed, RunReported, RunStarted
from phasetune.run.interrupt import Interrupted
from phasetune.store.paths import StudyPaths
from stored import StopsAt


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


PRINTS = """
import sys
import scripted
import trunked
from phasetune import Stage

def train(ctx, params):
    print(f"trains {params.value}")
    try:
        return scripted.train(ctx, params)
    finally:
        for percent in (10, 55, 100):
            print(f"\\r{percent}%", end="", flush=True, file=sys.stderr)

def grow(ctx, params):
    print(f"grows to {params.steps}" if ctx.trunk.until is None else "grows the trunk")
    return trunked.grow(ctx, params)
"""
SCRIPTED = """
Data = scripted.Data
STAGES = (Stage(name="train", params=scripted.Script, function="prints:train", reads=("train",)),)
"""
TRUNKED = """
Data = trunked.Data
STAGES = (Stage(name="grow", params=trunked.Grow, function="prints:grow", reads=("unlabeled",),
                exports=("chain.txt",), milestone=trunked.Grow.milestone), trunked.STAGES[1])
"""
ONE_STAGE = {"final": {"refit": False, "test": False}, "constraints": []}


@pytest.fixture
def printing(tmp_path: Path, scripted_study: StudyMaker) -> StudyMaker:
    """Studies of a workload that prints, in a folder of its own."""

    def make(kept: str = SCRIPTED, **changes: object) -> Study:
        (tmp_path / "prints.py").write_text(PRINTS + kept)
        own = {"workload": "prints", "import_from": [str(tmp_path), str(TESTS)], **ONE_STAGE}
        return scripted_study(**{**own, **changes})

    return make


def log_of(paths: StudyPaths, event: RunStarted | RunFailed) -> list[str]:
    return paths.run_log(event.stage, event.key).read_text().splitlines()


def test_a_run_that_failed_is_told_with_its_last_lines(
    printing: StudyMaker, tmp_path: Path, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [{"train.value": 0.25}, {"train.value": 0.75, "train.fault": "raise"}]
    study = printing(phases=[{"name": "one", "points": points}])
    outcome = run_study(study, results=tmp_path / "results", in_process=True, listener=heard)
    (failed,) = heard.of(RunFailed)
    assert failed.tail == ("trains 0.75", "100%")
    assert len(list((outcome.paths.root / "logs" / "runs").iterdir())) == 2
    healthy, _ = heard.of(RunStarted)
    header, first, *_, last = log_of(outcome.paths, healthy)
    assert header.startswith("=== attempt 0001, ")
    assert (first, last) == ("trains 0.25", "100%")
    assert capsys.readouterr() == ("", "")


def test_a_run_that_failed_in_silence_has_no_last_lines_and_no_log(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    study = scripted_study(phases=[{"name": "one", "points": [{"train.fault": "raise"}]}])
    outcome = run_study(study, results=tmp_path, in_process=True, listener=heard)
    assert [event.tail for event in heard.of(RunFailed)] == [()]
    assert not (outcome.paths.root / "logs" / "runs").exists()


def test_who_listens_sees_the_streams_of_the_driver(printing: StudyMaker, tmp_path: Path) -> None:
    driver, seen = sys.stdout, list[bool]()

    class Looks:
        def notify(self, event: object) -> None:
            if isinstance(event, RunReported):
                seen.append(sys.stdout is driver)

    run_study(
        printing(phases=[{"name": "one", "points": [{}]}]),
        results=tmp_path / "results",
        in_process=True,
        listener=Looks(),
    )
    assert seen == [True] * 3
    assert sys.stdout is driver


def test_a_run_that_goes_on_appends_to_its_log(
    printing: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    study = printing(phases=[{"name": "one", "points": [{}]}])
    with pytest.raises(Interrupted):
        run_study(study, results=tmp_path / "results", in_process=True, listener=StopsAt(2))
    outcome = run_study(study, results=tmp_path / "results", in_process=True, listener=heard)
    (run,) = heard.of(RunStarted)
    lines = [line.partition(",")[0] for line in log_of(outcome.paths, run)]
    said = ["trains 0.5", "", "10%", "55%", "100%"]
    assert lines == ["=== attempt 0001", *said, "=== attempt 0002", *said]


def test_runs_of_one_trunk_have_a_log_each(
    printing: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    study = printing(kept=TRUNKED, phases=[{"name": "one", "grid": {"grow.steps": [3, 5]}}])
    outcome = run_study(study, results=tmp_path / "results", in_process=True, listener=heard)
    runs = [event for event in heard.of(RunStarted) if event.stage == "grow"]
    logs = [log_of(outcome.paths, run)[1:] for run in runs]
    assert logs == [["grows the trunk", "grows to 3"], ["grows the trunk", "grows to 5"]]
