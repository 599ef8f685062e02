"""What no study refers to goes, and nothing else; also when the removal is killed in between."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import StoreError, Study
from phasetune.api import run_study
from phasetune.run.events import WaveStarted
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.garbage import Garbage, collect, garbage
from phasetune.store.paths import ResultsPaths
from phasetune.store.references import all_references
from stored import add_trunk, branch_off, cut_off, finished, keep, names_below

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
LESS = [{"name": "one", "grid": {"train.value": [0.2]}}]

COLLECT = """
import os, signal, sys
from pathlib import Path
from phasetune.store.garbage import collect, garbage
from phasetune.store.paths import ResultsPaths

left = int(sys.argv[2])
def killing(function):
    def counted(*arguments, **options):
        global left
        result = function(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return counted
Path.rename, os.unlink, os.rmdir = killing(Path.rename), killing(os.unlink), killing(os.rmdir)
collect(garbage(ResultsPaths(Path(sys.argv[1]))))
"""


def told(found: Iterable[Garbage]) -> list[tuple[str, str]]:
    return [(str(entry.kind), entry.why) for entry in found]


def littered(root: Path) -> None:
    """One of each kind of what is left over."""
    paths = ResultsPaths(root)
    for path in (
        paths.store / "train" / ".draft-0123-0001" / "files" / "model.txt",
        paths.store / "train" / ".trash-0123-0001" / "files" / "model.txt",
        paths.store / "set-aside" / "train" / f"{'ab' * 16}-damaged-1" / "manifest.json",
        paths.store / "failed-runs" / "train" / f"{'cd' * 16}.json",
        paths.store / "failed-runs" / "train" / f"{'cd' * 16}.traceback.txt",
        root / "scripted" / "phases" / "one" / ".draft-plan.json-1",
        root / "scripted" / "trials" / "one-value=0.6" / ".draft-results.json-1",
        root / "scripted" / "phases" / "one" / "attempts" / "0001" / "run-x" / ".draft-1" / "a",
        root / "scripted" / "phases" / "one" / "attempts" / "0001" / "run-x" / "checkpoint_0" / "a",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")


def test_nothing_of_a_finished_study_is_garbage(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(replicates={"folds": 2}), tmp_path)
    assert garbage(ResultsPaths(tmp_path)) == []


def test_what_is_left_over_is_garbage_of_its_kind(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    clean = names_below(tmp_path)
    littered(tmp_path)
    found = garbage(ResultsPaths(tmp_path))
    assert sorted(told(found)) == [
        ("draft", "was being written"),
        ("draft", "was being written"),
        ("draft", "was being written"),
        ("draft", "was being written"),
        ("failure", "no study refers to it"),
        ("failure", "no study refers to it"),
        ("resume", "torn: it has no seal"),
        ("set aside", "set aside: damaged"),
        ("trash", "was being deleted"),
    ]
    assert collect(found) == sum(entry.size_bytes for entry in found) == 4 * len(found)
    assert names_below(tmp_path) == clean
    assert garbage(ResultsPaths(tmp_path)) == []


def test_a_smaller_study_leaves_garbage_and_another_one_keeps_what_it_shares(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    finished(scripted_study(phases=LESS), tmp_path)
    paths = ResultsPaths(tmp_path)
    found = garbage(paths)
    assert {entry.path.parent.name for entry in found} == {"train", "test"}
    assert set(told(found)) == {("artifact", "no study refers to it")}
    finished(scripted_study(phases=ONE, name="other"), tmp_path)
    assert garbage(paths) == []


def test_a_deleted_study_leaves_all_it_computed(scripted_study: StudyMaker, tmp_path: Path) -> None:
    import shutil

    finished(scripted_study(phases=ONE), tmp_path)
    shutil.rmtree(tmp_path / "scripted")
    paths = ResultsPaths(tmp_path)
    collect(garbage(paths))
    assert names_below(tmp_path) <= {"store/digests.json", "store/in-use.lock"}


def test_an_interrupted_study_keeps_what_it_goes_on_from(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    study = scripted_study(phases=ONE)
    cut_off(study, tmp_path, after=5)
    assert garbage(ResultsPaths(tmp_path)) == []
    checkpoints = [path.name for path in tmp_path.rglob("checkpoint_*")]
    assert len(checkpoints) == 1
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    assert not list(tmp_path.rglob("checkpoint_*"))


def test_resume_checkpoints_of_runs_that_are_done_or_no_more_are_garbage(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    study = scripted_study(phases=ONE)
    cut_off(study, tmp_path, after=5)
    (checkpoint,) = tmp_path.rglob("checkpoint_*")
    kept = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    finished(study, tmp_path)

    def put_back() -> None:
        checkpoint.mkdir(parents=True)
        for name, content in kept.items():
            (checkpoint / name).write_bytes(content)

    put_back()
    (found,) = garbage(ResultsPaths(tmp_path))
    assert (found.path, found.why) == (checkpoint, "of a run that is done")
    collect([found])
    finished(scripted_study(phases=ONE, seed=12), tmp_path)
    put_back()
    whys = {entry.why for entry in garbage(ResultsPaths(tmp_path)) if entry.kind == "resume"}
    assert whys == {"of a run that the study does not refer to"}


def test_a_failed_run_keeps_its_record_while_it_is_referred_to(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    points = [{"train.fault": "raise", "train.fault_step": 2}, {"train.value": 0.1}]
    finished(scripted_study(phases=[{"name": "one", "points": points}]), tmp_path)
    assert garbage(ResultsPaths(tmp_path)) == []
    assert list(tmp_path.rglob("*.traceback.txt"))
    assert len(list(tmp_path.rglob("checkpoint_*"))) == 1, "it may be tried again"


def test_a_trunk_stays_while_a_plan_branches_off_at_its_step(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    outcome = finished(scripted_study(phases=ONE), tmp_path)
    paths = ResultsPaths(tmp_path)
    used, unused = (add_trunk(paths, "train", step=step) for step in (40, 80))
    branch_off(outcome.paths.phase("one").plan, "train", step=40)
    (found,) = garbage(paths)
    assert (found.path, found.kind) == (unused, "trunk")
    assert used.is_dir()


def test_trunks_that_runs_really_branch_off_are_referred_to(tmp_path: Path) -> None:
    def grown(*steps: int) -> None:
        content = {
            "name": "grown",
            "workload": "trunked",
            "import_from": [str(TESTS)],
            "objective": {"metric": "score"},
            "phases": [{"name": "depth", "grid": {"grow.steps": list(steps)}}],
            "final": {"refit": False, "test": False},
        }
        finished(Study.model_validate(content), tmp_path)

    grown(5, 8)
    paths = ResultsPaths(tmp_path)
    assert [path.name[-7:] for path in sorted(paths.store.glob("grow/*-*"))] == [
        "-000004",
        "-000007",
    ]
    assert garbage(paths) == []
    grown(5)
    found = garbage(paths)
    assert [entry.path.name[-7:] for entry in found if entry.kind == "trunk"] == ["-000007"]
    assert len(found) == 3


def test_what_is_not_ours_is_left_alone(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    for place in ("store/train/notes", "store/mine", "elsewhere/store/train"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "readme.txt").write_text("mine")
    kept = keep(next((tmp_path / "store" / "train").glob("[0-9a-f]*/")), epoch=3)
    assert garbage(ResultsPaths(tmp_path)) == []
    assert kept.is_dir()


def test_a_study_that_cant_be_read_stops_it(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    finished(scripted_study(phases=ONE, name="other"), tmp_path)
    plan = tmp_path / "other" / "phases" / "one" / "plan.json"
    plan.write_text(plan.read_text()[:100])
    with pytest.raises(StoreError, match=str(plan)):
        garbage(ResultsPaths(tmp_path))


def test_what_is_gone_already_is_passed_over(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    littered(tmp_path)
    found = garbage(ResultsPaths(tmp_path))
    freed = collect(found[1:2])
    assert freed + collect(found) == sum(entry.size_bytes for entry in found)


def broken_references(paths: ResultsPaths) -> set[Path]:
    """Referenced artifacts that are not whole."""
    store = ArtifactStore(paths.store)
    broken = set()
    for found in all_references(paths):
        artifact = store.intact(found.stage, found.key)
        if artifact is None:
            broken.add(store.folder(found.stage, found.key))
        else:
            artifact.verify()
    return broken


def test_a_removal_that_is_killed_anywhere_is_finished_by_the_next_one(
    scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    finished(scripted_study(phases=LESS), tmp_path)
    littered(tmp_path)
    paths = ResultsPaths(tmp_path)
    was = {entry.path for entry in garbage(paths)}
    kills = 0
    for instant in (1, 2, 3, 1, 5, 4, 2, 7, 3, 1):  # each goes on where the one before was killed
        done = subprocess.run(
            [sys.executable, "-c", COLLECT, str(tmp_path), str(instant)], check=False
        )
        kills += done.returncode == -signal.SIGKILL
        assert broken_references(paths) == set()
        names = {entry.path for entry in garbage(paths) if entry.kind != "trash"}
        assert names <= was, "nothing else became garbage"
    assert kills >= 8
    collect(garbage(paths))
    assert garbage(paths) == []
    assert not any(path.exists() for path in was)
    report = (tmp_path / "scripted" / "report.json").read_bytes()
    again = run_study(
        scripted_study(phases=LESS), results=tmp_path, in_process=True, listener=heard
    )
    assert (again.result.account.executed, heard.of(WaveStarted)) == ([], [])
    assert (tmp_path / "scripted" / "report.json").read_bytes() == report
    assert json.loads(report)["is_complete"]
