"""Going on after interruptions: from where the run got furthest, and after a full disk."""

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import StoreError, run_study
from phasetune.run.checkpoints import newest_checkpoint, seal
from phasetune.run.context import RunContext
from phasetune.run.interrupt import Interrupted
from phasetune.store.documents import document_digest, document_text
from phasetune.store.paths import SEAL, ResultsPaths
from phasetune.store.resume import newest_of_each, resume_checkpoints, verifies
from stored import StopsAt

ENVIRONMENT = {"device": "cpu"}


def sealed(folder: Path, *, step: int, seconds: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")
    seal(
        folder,
        key="k",
        environment=ENVIRONMENT,
        step=step,
        history=[],
        elapsed_seconds=seconds,
        notes={},
    )
    return folder


@pytest.mark.parametrize(
    ("checkpoints", "furthest"),
    [
        ([(1, 5.0), (1, 9.0), (1, 7.0)], 1),
        ([(2, 5.0), (1, 9.0)], 0),
        ([(1, 5.0), (1, 5.0)], 1),
        ([(3, 1.0), (10, 0.5)], 1),
    ],
    ids=["inside one step", "a later step", "equal: the newest attempt", "steps are numbers"],
)
def test_a_run_goes_on_from_where_it_got_furthest(
    checkpoints: list[tuple[int, float]], furthest: int, tmp_path: Path
) -> None:
    study = ResultsPaths(tmp_path).study("s")
    attempts = study.root / "phases" / "p" / "attempts"
    folders = [
        sealed(attempts / f"{i:04d}" / "fit-k" / "checkpoint_000000", step=step, seconds=seconds)
        for i, (step, seconds) in enumerate(checkpoints)
    ]
    found, notes = newest_checkpoint(folders, key="k", environment=ENVIRONMENT)
    assert found is not None
    assert (found.folder, notes) == (folders[furthest], ())
    assert newest_of_each(resume_checkpoints(study)) == {folders[furthest]}


def test_one_that_is_damaged_is_passed_over_and_told(tmp_path: Path) -> None:
    older = sealed(tmp_path / "a", step=3, seconds=3.0)
    newer = sealed(tmp_path / "b", step=4, seconds=4.0)
    (newer / "state.json").write_text("damaged")
    found, notes = newest_checkpoint([older, newer], key="k", environment=ENVIRONMENT)
    assert found is not None
    assert found.folder == older
    assert notes == ("the checkpoint of step 4 was damaged; went on from step 3",)
    (older / "state.json").write_text("damaged")
    found, notes = newest_checkpoint([older, newer], key="k", environment=ENVIRONMENT)
    assert found is None
    assert notes[1].endswith("no earlier one was there to go on from")


def stale_file(folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "kept" / "older.json").write_text("{}")


def link(folder: Path) -> None:
    (folder / "state.json").rename(folder.parent / "elsewhere")
    (folder / "state.json").symlink_to(folder.parent / "elsewhere")


def pipe(folder: Path) -> None:
    (folder / "state.json").unlink()
    os.mkfifo(folder / "state.json")


@pytest.mark.parametrize("damage", [stale_file, link, pipe])
def test_one_that_holds_more_or_something_else_is_passed_over(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = sealed(tmp_path / "a", step=3, seconds=3.0)
    (folder / ".nfs0001").write_text("the file system's own")
    assert verifies(folder)
    damage(folder)
    assert not verifies(folder)
    found, notes = newest_checkpoint([folder], key="k", environment=ENVIRONMENT)
    assert found is None
    assert notes[0].startswith("the checkpoint of step 3 was damaged")


SEALS: dict[str, dict[str, Any]] = {
    "no step": {"step": "3"},
    "half a step": {"step": 2.5},
    "endless seconds": {"elapsed_seconds": math.inf},
    "a history of text": {"history": [{"step": 1, "loss": "low"}]},
    "a history without steps": {"history": [{"loss": 1.0}]},
    "notes that are none": {"notes": {"warm": "yes"}},
    "a file outside": {"files": {"../../key": "0" * 32}},
    "a device": {"files": {"/dev/zero": "0" * 32}},
    "no files": {"files": None},
}


@pytest.mark.parametrize("case", SEALS)
def test_a_seal_that_says_what_nobody_writes_is_none(case: str, tmp_path: Path) -> None:
    """Its digest is right: whoever changes a seal can write a new one."""
    study = ResultsPaths(tmp_path).study("s")
    path = study.root / "phases" / "p" / "attempts" / "0001" / "fit-k" / "checkpoint_000000"
    content = json.loads((sealed(path, step=3, seconds=3.0) / SEAL).read_text())
    changed = {**{name: content[name] for name in content if name != "digest"}, **SEALS[case]}
    text = document_text({**changed, "digest": document_digest(changed)})
    (path / SEAL).write_text(text)
    assert newest_checkpoint([path], key="k", environment=ENVIRONMENT) == (None, ())
    assert [found.key for found in resume_checkpoints(study)] == [None]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_what_the_disk_does_is_not_held_against_a_run(
    code: int, tmp_path: Path, scripted_study: StudyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "/somewhere")

    with monkeypatch.context() as broken:
        broken.setattr(RunContext, "_seal", full)
        with pytest.raises(StoreError, match=f"prepare.*{os.strerror(code)} at /somewhere; noth"):
            run_study(scripted_study(), results=tmp_path, in_process=True)
    assert not list(tmp_path.glob("store/failed-runs/*/*"))
    outcome = run_study(scripted_study(), results=tmp_path, in_process=True)
    assert not outcome.failures


def test_each_attempt_gets_further(tmp_path: Path, scripted_study: StudyMaker) -> None:
    asked = scripted_study(params={"prepare": {"steps": 6}})
    for _ in range(4):
        with pytest.raises(Interrupted):
            run_study(asked, results=tmp_path / "cut", in_process=True, listener=StopsAt(1))
    cut = run_study(asked, results=tmp_path / "cut", in_process=True)
    whole = run_study(asked, results=tmp_path / "whole", in_process=True)
    assert cut.report == whole.report
