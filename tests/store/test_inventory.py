"""What is kept on disk, of which run, and why."""

import json
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StoreError
from phasetune.store.inventory import CheckpointKind, CheckpointRow, checkpoint_record, checkpoints
from phasetune.store.paths import ResultsPaths
from stored import add_trunk, artifact_of, branch_off, cut_off, finished, keep

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def of_kind(kind: str, results: Path, study: str | None = None) -> list[CheckpointRow]:
    return [row for row in checkpoints(ResultsPaths(results), study) if row.kind == kind]


def test_kept_checkpoints_say_why_and_of_which_run(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    outcome = finished(scripted_study(phases=ONE), tmp_path)
    loser, winner = (artifact_of(outcome, f"one-value={v}", "train") for v in (0.2, 0.6))
    keep(loser, epoch=9, kept_as=["last"], loss=0.7, size=2000)
    keep(loser, epoch=3, kept_as=["best", "milestone"], loss=0.2)
    keep(winner, epoch=4)
    found = of_kind("kept", tmp_path)
    assert [(row.run, row.epoch, row.why, row.size_bytes) for row in found] == [
        ("train one-value=0.2 fold 1", 3, ("best", "milestone"), 1000),
        ("train one-value=0.2 fold 1", 9, ("last",), 2000),
        ("train one-value=0.6 fold 1", 4, ("kept", "winner"), 1000),
    ]
    assert [row.metrics for row in found] == [{"loss": 0.2}, {"loss": 0.7}, {"loss": 0.5}]
    assert [row.is_winning for row in found] == [False, False, True]


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"epoch": "x"}', '{"epoch": 1}'])
def test_what_has_no_readable_meta_is_no_checkpoint(
    scripted_study: StudyMaker, tmp_path: Path, broken: str
) -> None:
    outcome = finished(scripted_study(phases=ONE), tmp_path)
    folder = artifact_of(outcome, "one-value=0.6", "train")
    whole, torn = keep(folder, epoch=1), keep(folder, epoch=2)
    (torn / "meta.json").write_text(broken)
    assert [row.path for row in of_kind("kept", tmp_path)] == [whole]


def test_a_run_that_is_not_done_has_its_resume_checkpoint(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    cut_off(scripted_study(phases=ONE), tmp_path, after=5)
    (row,) = checkpoints(ResultsPaths(tmp_path))
    assert (row.kind, row.run, row.epoch) == (
        CheckpointKind.RESUME,
        "train one-value=0.2 fold 1",
        2,
    )
    assert row.why == ("resume of a run that is not done",)
    assert (row.is_needed, row.is_done) == (True, False)
    assert row.size_bytes > 0
    assert list(row.metrics) == ["chain"]


def test_an_older_one_an_unsealed_one_and_one_of_a_run_that_is_done_are_told_apart(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    import shutil

    study = scripted_study(phases=ONE)
    cut_off(study, tmp_path, after=5)
    (newest,) = tmp_path.rglob("checkpoint_*")
    older, unsealed = (newest.parents[1].with_name(n) / newest.parent.name for n in ("98", "99"))
    shutil.copytree(newest, older / newest.name)
    seal = older / newest.name / "phasetune-checkpoint.json"
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "step": 1}))
    (unsealed / newest.name).mkdir(parents=True)
    found = {row.path: row for row in of_kind("resume", tmp_path)}
    assert [row.why[0] for row in found.values()] == [
        "resume of a run that is not done",
        "older than the newest of its run",
        "has no seal (yet)",
    ]
    assert [row.is_needed for row in found.values()] == [True, False, True]
    finished(study, tmp_path)
    shutil.copytree(unsealed.parents[1] / "99", unsealed.parents[1] / "97")
    assert not [row for row in of_kind("resume", tmp_path) if row.is_needed and row.key]


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (40, {40: True, 80: False}),
        (60, {40: True, 80: False}),
        (80, {40: True, 80: True}),
    ],
)
def test_a_trunk_is_needed_by_runs_that_are_not_done_and_branch_off_there_or_later(
    scripted_study: StudyMaker, tmp_path: Path, asked: int, needed: dict[int, bool]
) -> None:
    for name, step in (("at-40", 40), ("at-80", 80), ("not-done", asked)):
        outcome = finished(scripted_study(phases=ONE, name=name), tmp_path)
        branch_off(outcome.paths.phase("one").plan, "train", step=step)
    for step in (40, 80):
        add_trunk(ResultsPaths(tmp_path), "train", step=step)
    assert {row.epoch: row.is_needed for row in of_kind("trunk", tmp_path)} == {
        40: False,
        80: False,
    }
    plan = outcome.paths.phase("one").plan
    record = json.loads(plan.read_text())
    record["trials"][0]["replicates"][0]["runs"][1]["key"] = "ef" * 16
    plan.write_text(json.dumps(record))
    assert {row.epoch: row.is_needed for row in of_kind("trunk", tmp_path)} == needed


def test_a_trunk_counts_its_runs(scripted_study: StudyMaker, tmp_path: Path) -> None:
    outcome = finished(scripted_study(phases=ONE), tmp_path)
    folder = add_trunk(ResultsPaths(tmp_path), "train", step=40)
    branch_off(outcome.paths.phase("one").plan, "train", step=40)
    (row,) = of_kind("trunk", tmp_path)
    assert (row.path, row.epoch, row.why) == (folder, 40, ("trunk of 2 runs", "winner"))
    assert row.run == "train one-value=0.2 fold 1 +1"


def test_the_final_models_runs_are_listed(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    found = of_kind("model", tmp_path)
    assert [row.run for row in found] == ["prepare final", "train final", "test final"]
    assert {row.why for row in found} == {("final model",)}


def test_one_study_of_several_is_listed_alone(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    finished(scripted_study(phases=ONE, name="other"), tmp_path)
    assert {row.studies for row in checkpoints(ResultsPaths(tmp_path), "other")} == {("other",)}
    assert {row.studies for row in checkpoints(ResultsPaths(tmp_path))} == {("other", "scripted")}


@pytest.mark.parametrize(
    ("study", "message"),
    [(None, "holds no study$"), ("x", "holds no study$")],
)
def test_what_is_no_results_root_is_a_sentence(
    tmp_path: Path, study: str | None, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        checkpoints(ResultsPaths(tmp_path), study)


def test_an_unknown_study_is_named_with_those_there_are(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    with pytest.raises(StoreError, match="holds no study 'x'; it holds: scripted"):
        checkpoints(ResultsPaths(tmp_path), "x")


def test_a_row_is_plain_values_too(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    record = checkpoint_record(checkpoints(ResultsPaths(tmp_path))[0])
    assert json.loads(json.dumps(record)) == record
    assert record["studies"] == ["scripted"]
