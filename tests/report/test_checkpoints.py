"""Checkpoints as a DataFrame."""

from pathlib import Path

import pytest

import phasetune
from phasetune import StoreError, StudyOutcome
from report.conftest import Runner
from stored import artifact_of, keep


def test_one_row_per_checkpoint_with_its_metrics(ran: Runner) -> None:
    outcome = ran(phases=[{"name": "one", "grid": {"train.value": [0.2, 0.6]}}])
    keep(artifact_of(outcome, "one-value=0.6", "train"), epoch=3, kept_as=["best"], loss=0.25)
    frame = phasetune.checkpoints(outcome.paths.root.parent)
    assert list(frame["kind"]) == ["kept", "model", "model", "model"]
    row = frame.iloc[0]
    assert (row["studies"], row["run"], row["epoch"]) == (
        "scripted",
        "train one-value=0.6 fold 1",
        3,
    )
    assert (row["why"], row["size_bytes"], row["loss"]) == ("best, winner", 1000, 0.25)
    assert Path(row["path"]).is_dir()


def test_an_unknown_study_is_a_sentence(whole: StudyOutcome) -> None:
    with pytest.raises(StoreError, match="holds no study 'x'; it holds: scripted"):
        phasetune.checkpoints(whole.paths.root.parent, "x")
