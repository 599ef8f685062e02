"""Going on after interruptions: from where the run got furthest, and after a full disk."""

import errno
import os
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StoreError, run_study
from phasetune.run.checkpoints import newest_checkpoint, seal
from phasetune.run.context import RunContext
from phasetune.run.interrupt import Interrupted
from phasetune.store.paths import ResultsPaths
from phasetune.store.resume import newest_of_each, resume_checkpoints
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
