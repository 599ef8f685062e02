"""What studies refer to: plans, winners, the final model, and what happens when that is unknown."""

import json
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StoreError
from phasetune.api import run_trial
from phasetune.store.paths import ResultsPaths
from phasetune.store.references import Reference, all_references
from stored import TRUNK, branch_off, cut_off, finished

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def stored(paths: ResultsPaths) -> set[tuple[str, str]]:
    return {
        (manifest.parent.parent.name, manifest.parent.name)
        for manifest in paths.store.glob("*/*/manifest.json")
    }


def referred(paths: ResultsPaths) -> set[tuple[str, str]]:
    return {(found.stage, found.key) for found in all_references(paths)}


def test_a_finished_study_refers_to_all_that_it_computed(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(replicates={"folds": 2, "seeds": 2}), tmp_path)
    paths = ResultsPaths(tmp_path)
    assert referred(paths) == stored(paths)


@pytest.mark.parametrize("after", [1, 4, 8])
def test_a_study_cut_off_in_its_first_phase_refers_to_what_it_has_computed(
    scripted_study: StudyMaker, tmp_path: Path, after: int
) -> None:
    cut_off(scripted_study(phases=ONE), tmp_path, after=after)
    paths = ResultsPaths(tmp_path)
    assert not list(tmp_path.rglob("decision.json"))
    assert stored(paths) < referred(paths)


def test_winners_and_the_final_model_are_known(scripted_study: StudyMaker, tmp_path: Path) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    winning = {found.label for found in all_references(ResultsPaths(tmp_path)) if found.is_winning}
    assert winning == {
        "prepare one-value=0.6 fold 1",
        "train one-value=0.6 fold 1",
        "prepare final",
        "train final",
        "test final",
    }


def test_a_final_model_is_referred_to_without_its_plan(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    (tmp_path / "scripted" / "phases" / "final" / "plan.json").unlink()
    paths = ResultsPaths(tmp_path)
    assert referred(paths) == stored(paths)


def test_a_trial_that_was_run_alone_is_referred_to_until_its_phase_is_decided(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    paths = ResultsPaths(tmp_path)
    run_trial(
        scripted_study(phases=ONE, seed=12), "one-value=0.2", results=tmp_path, in_process=True
    )
    assert referred(paths) == stored(paths)
    finished(scripted_study(phases=ONE), tmp_path)
    assert len(stored(paths) - referred(paths)) == 2


def test_a_trial_run_alone_whose_runs_are_stored_is_referred_to_as_well(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    other = scripted_study(phases=ONE, name="other")
    run_trial(other, "one-value=0.2", results=tmp_path, in_process=True)
    found = [f for f in all_references(ResultsPaths(tmp_path)) if f.study == "other"]
    assert [reference.stage for reference in found] == ["prepare", "train"]


def test_a_phase_that_the_study_has_no_more_is_not_referred_to(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    second = [{"name": "two", "grid": {"train.value": [0.9]}}]
    finished(scripted_study(phases=[*ONE, *second]), tmp_path)
    finished(scripted_study(phases=ONE), tmp_path)
    phases = {found.phase for found in all_references(ResultsPaths(tmp_path))}
    assert phases == {"one", "final"}


def test_trunks_are_referred_to_by_id_and_step(scripted_study: StudyMaker, tmp_path: Path) -> None:
    outcome = finished(scripted_study(phases=ONE), tmp_path)
    branch_off(outcome.paths.phase("one").plan, "train", step=40)
    keys = {found.trunk_key for found in all_references(ResultsPaths(tmp_path))}
    assert keys == {None, f"{TRUNK}-000040"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("study.yaml", "phases: 5"),
        ("study.yaml", "name: ["),
        ("phases/one/plan.json", '{"trials": [{"na'),
        ("phases/one/plan.json", '{"trials": [{"name": "x"}]}'),
        ("phases/one/plan-0123.json", '{"trials": 7}'),
        ("phases/one/decision.json", "[]"),
        ("phases/final/plan.json", "{}"),
        ("final.json", '{"runs": 3}'),
    ],
)
def test_what_cant_be_read_is_an_error_that_names_the_file(
    scripted_study: StudyMaker, tmp_path: Path, file: str, content: str
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    broken = tmp_path / "scripted" / file
    broken.write_text(content)
    with pytest.raises(StoreError, match=str(broken)):
        all_references(ResultsPaths(tmp_path))


def test_a_folder_with_phases_whose_study_is_gone_is_an_error(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    finished(scripted_study(phases=ONE), tmp_path)
    finished(scripted_study(phases=ONE, name="other"), tmp_path)
    (tmp_path / "other" / "study.yaml").unlink()
    with pytest.raises(StoreError, match=r"other has phases but no study\.yaml"):
        all_references(ResultsPaths(tmp_path))


def test_a_plan_without_a_decision_shows_nothing_and_breaks_nothing(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    from phasetune import history, runs, trials

    cut_off(scripted_study(phases=ONE), tmp_path, after=8)
    assert json.loads((tmp_path / "scripted" / "phases" / "one" / "plan.json").read_text())
    assert trials(tmp_path).empty
    assert runs(tmp_path).empty
    assert history(tmp_path).empty


def test_a_label_says_fold_and_seed() -> None:
    about = {"study": "s", "phase": "p", "trial": "t", "stage": "fit", "key": "k"}
    found = Reference(**about, seed_index=1, fold=0, trunk=None, trunk_step=None, is_winning=False)
    assert found.label == "fit t fold 1 seed 1"
