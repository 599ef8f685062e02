"""What a run notes of itself: in its record, told once, and said wherever its results are shown."""

import os
import signal
from pathlib import Path

import pytest

from conftest import Heard, StudyMaker
from phasetune import run_study, runs
from phasetune.run.events import Noticed, RunReported
from phasetune.run.interrupt import Interrupted

NOTE = "the moon was full"
POINTS = [{"train.value": 0.6, "train.fault": "inexact", "train.fault_step": 1}]
PLAIN_PHASE = [{"name": "value", "points": [{"train.value": 0.6}]}]
ONE_PHASE = [{"name": "value", "points": POINTS}]


def test_a_run_that_is_not_exact_is_marked_wherever_it_shows(
    tmp_path: Path, scripted_study: StudyMaker, heard: Heard
) -> None:
    asked = scripted_study(phases=ONE_PHASE)
    outcome = run_study(asked, results=tmp_path, in_process=True, listener=heard)
    record = outcome.decisions["value"]
    assert record["inexact"] == [f"train of {record['winner']}: {NOTE}"]
    (warning,) = outcome.report["warnings"]
    assert warning.startswith("Computed again, this would not be the same bit for bit: train of")
    told = [event.message for event in heard.of(Noticed)]
    assert next(message for message in told if NOTE in message).endswith(f": {NOTE}")
    frame = runs(tmp_path).set_index("stage")
    assert (frame.is_exact["prepare"], frame.is_exact["train"]) == (True, False)
    assert (frame.notes["prepare"], frame.notes["train"]) == ("", NOTE)


def test_what_comes_from_a_run_that_is_not_exact_is_not_exact_either(
    tmp_path: Path, scripted_study: StudyMaker
) -> None:
    asked = scripted_study(params={"prepare": {"fault": "inexact"}}, phases=PLAIN_PHASE)
    outcome = run_study(asked, results=tmp_path, in_process=True)
    frame = runs(tmp_path).set_index("stage")
    assert list(frame.is_exact[["prepare", "train"]]) == [False, False]
    assert frame.notes["train"] == "the prepare that it came from is not exact"
    assert len(outcome.decisions["value"]["inexact"]) == 2


def test_a_run_that_notes_nothing_is_exact(tmp_path: Path, scripted_study: StudyMaker) -> None:
    outcome = run_study(scripted_study(), results=tmp_path, in_process=True)
    assert outcome.report["warnings"] == []
    assert all(record["inexact"] == [] for record in outcome.decisions.values())
    assert runs(tmp_path).is_exact.all()


class Stops(Heard):
    """Asks for an end when a run has reported its second step."""

    def notify(self, event: object) -> None:
        if isinstance(event, RunReported) and event.label.startswith("train") and event.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_what_was_noted_before_an_interruption_is_still_known(
    tmp_path: Path, scripted_study: StudyMaker
) -> None:
    asked = scripted_study(phases=ONE_PHASE)
    with pytest.raises(Interrupted):
        run_study(asked, results=tmp_path, in_process=True, listener=Stops())
    outcome = run_study(asked, results=tmp_path, in_process=True)
    assert [NOTE in sentence for sentence in outcome.decisions["value"]["inexact"]] == [True]
