"""Weights & Biases, offline: what its own files say afterwards; no login, no network."""

import os
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StudyError
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Status
from phasetune.tracking.wandb import WandbTracker, wandb_place
from tracking_samples import opened, results_below, series, trial_record

_BLOCK, _WHOLE, _LAST = 32768, 1, 4

pytest.importorskip("wandb", reason="the extra wandb is not installed")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPaths:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    return results_below(tmp_path)[1]


def begun(study: StudyPaths) -> WandbTracker:
    tracker = WandbTracker(wandb_place(None, study), study=study)
    tracker.connect()
    return tracker


def told(study: StudyPaths, handle: str) -> list[Any]:
    """Records of all files of a run, as W&B would send them."""
    from wandb.proto.wandb_internal_pb2 import Record

    paths = sorted(study.tracking.glob(f"wandb/wandb/*-{handle}*/*.wandb"))
    return [Record.FromString(content) for path in paths for content in _records(path)]


def _records(path: Path) -> Iterator[bytes]:
    """W&B's files are in LevelDB's log format, behind 7 bytes of their own."""
    content, position, parts = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (_WHOLE, _LAST):
            yield parts
            parts = b""


def rows(study: StudyPaths, handle: str) -> list[dict[str, str]]:
    return [
        {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for record in told(study, handle)
        if record.WhichOneof("record_type") == "history"
    ]


def test_runs_of_a_study_are_a_group_and_end_as_they_did(study: StudyPaths, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("{}")
    with closing(begun(study)) as tracker:
        handles = opened(tracker)
        tracker.log(handles[2], series([1, 2]))
        tracker.log(handles[2], series([1], stage="test"))
        record = trial_record(
            status=Status.FINISHED,
            params={"fit.rate": "0.1"},
            tags={"winner": "true"},
            metrics={"accuracy": 0.5},
            artifacts={"report.json": file},
        )
        tracker.update(handles[2], record, told=None)
        assert tracker.last_steps(handles[2]) == {"fit": 2, "test": 1}
    records = told(study, handles[2])
    run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (run.run_group, run.job_type, run.display_name) == ("one", "trial", "k1")
    assert [
        (row["fit/step"], row["fit/loss"]) for row in rows(study, handles[2]) if "fit/step" in row
    ] == [("1", "1"), ("2", "0.5")]
    exits = [r.exit.exit_code for r in records if r.WhichOneof("record_type") == "exit"]
    assert exits == [0]
    assert any("report.json" in str(r.files) for r in records if r.HasField("files"))


def test_a_next_process_goes_on_under_the_same_id(study: StudyPaths) -> None:
    with closing(begun(study)) as tracker:
        handles = opened(tracker)
        tracker.log(handles[2], series([1, 2]))
    with closing(begun(study)) as again:
        assert opened(again) == handles
        assert again.last_steps(handles[2]) == {"fit": 2}
        again.log(handles[2], series([3]))
    steps = [row["fit/step"] for row in rows(study, handles[2])]
    assert steps == ["1", "2", "3"]


def test_its_process_ends_with_the_tracker(study: StudyPaths) -> None:
    before = _children()
    with closing(begun(study)) as tracker:
        *_, trial = opened(tracker)
        tracker.log(trial, series([1]))
        assert _children() - before
    assert not _children() - before


def _children() -> set[str]:
    return {
        line
        for task in Path("/proc/self/task").iterdir()
        for line in (task / "children").read_text().split()
        if "wandb" in Path(f"/proc/{line}/comm").read_text()
    }


def test_a_folder_that_is_gone_is_forgotten(study: StudyPaths) -> None:
    with closing(begun(study)) as tracker, pytest.raises(Forgotten, match="has no run"):
        tracker.last_steps("0123")


@pytest.mark.parametrize("target", ["", "/", "a/", "/b", "a/b/c", "http://host/x"])
def test_what_is_no_project_is_a_sentence(target: str, study: StudyPaths) -> None:
    with pytest.raises(StudyError, match="must be PROJECT or ENTITY/PROJECT"):
        wandb_place(target or "/", study)


@pytest.mark.parametrize(
    ("target", "entity", "project"),
    [(None, None, "one"), ("mine", None, "mine"), ("team/mine", "team", "mine")],
)
def test_a_project_is_the_study_s_or_the_one_that_is_named(
    target: str | None, entity: str | None, project: str, study: StudyPaths
) -> None:
    place = wandb_place(target, study)
    assert (place.entity, place.project, place.mode) == (entity, project, "offline")


def test_without_a_login_nobody_is_asked(
    study: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    assert wandb_place(None, study).mode == "offline"
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password key\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert wandb_place(None, study).mode == "online"
    os.environ["HOME"] = str(study.root)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert wandb_place(None, study).mode == "online"
