"""Kept checkpoints, listed without torch: what `meta.json` tells, and what is no checkpoint."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from phasetune.store.kept import META, STATE, kept_checkpoints

WHOLE = {"schema": 1, "epoch": 3, "metrics": {"val_loss": 0.5}, "size": 7}


def put(folder: Path, name: str, **changes: Any) -> None:
    put_text(folder, name, json.dumps({**WHOLE, **changes}))


def put_text(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / META).write_text(text)
    (folder / name / STATE).write_bytes(b"weights")


def test_a_checkpoint_is_what_its_meta_tells(tmp_path: Path) -> None:
    put(tmp_path, "epoch003_val_loss0.5000", metrics={"val_loss": 0.5, "accuracy": "nan"})
    (found,) = kept_checkpoints(tmp_path)
    assert (found.name, found.path) == (
        "epoch003_val_loss0.5000",
        tmp_path / "epoch003_val_loss0.5000",
    )
    assert (found.epoch, found.size_bytes) == (3, 7)
    assert found.metrics["val_loss"] == 0.5
    assert math.isnan(found.metrics["accuracy"])


def test_they_come_by_epoch_not_by_name(tmp_path: Path) -> None:
    for name, epoch in [("epoch1000", 1000), ("epoch999", 999), ("b", 7), ("a", 7)]:
        put(tmp_path, name, epoch=epoch)
    assert [one.name for one in kept_checkpoints(tmp_path)] == ["a", "b", "epoch999", "epoch1000"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps({**WHOLE, "epoch": "third"}),
        json.dumps({**WHOLE, "metrics": [1.0]}),
        json.dumps({**WHOLE, "metrics": {"val_loss": "low"}}),
        json.dumps({**WHOLE, "size": None}),
        "[" * 100_000,
        "\0",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_has_no_readable_meta_is_no_checkpoint(text: str, tmp_path: Path) -> None:
    put_text(tmp_path, "odd", text)
    put(tmp_path, "whole")
    assert [one.name for one in kept_checkpoints(tmp_path)] == ["whole"]


@pytest.mark.parametrize("name", [".draft-epoch003-1a2b", ".trash-epoch003-1a2b"])
def test_drafts_and_what_is_being_deleted_are_none(name: str, tmp_path: Path) -> None:
    put(tmp_path, name)
    assert kept_checkpoints(tmp_path) == []


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert kept_checkpoints(tmp_path / "nowhere") == []
    (tmp_path / "file").write_text("no folder")
    assert kept_checkpoints(tmp_path) == []
