"""Training reports of runs of a study: by name, whole, and the same each time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS
from phasetune import StoreError, Study, StudyOutcome, run_study
from phasetune.report.training import write_run_report
from phasetune.report.training.recorded import RunEnd, recorded_runs
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.references import study_references
from stored import cut_off, names_below

FILES = {"loss_curves.png", "metrics_curves.png", "report.json", "summary.txt"}
UNKNOWN = (
    "the study told has no run 'one-flor=0.2'; give a trial, TRIAL:STAGE, a run as `phasetune run` "
    "prints it, or six or more digits of its key"
)
Told = Callable[..., Study]


@pytest.fixture(scope="session")
def told() -> Told:
    """Two trials over three folds; changes are top-level keys of the study."""

    def make(**changes: Any) -> Study:
        content: dict[str, Any] = {
            "name": "told",
            "workload": "told_losses",
            "import_from": [str(Path(__file__).parent)],
            "objective": {"metric": "score"},
            "params": {"prepare": {"hub_token": "hf_long"}},
            "replicates": {"folds": 3},
            "phases": [{"name": "one", "grid": {"train.floor": [0.3, 0.2]}}],
            "final": {"refit": False, "test": False},
        }
        return Study.model_validate({**content, **changes})

    return make


@pytest.fixture(scope="module")
def folded(told: Told, tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    results = tmp_path_factory.mktemp("folded") / "results"
    return run_study(told(), results=results, in_process=True)


def report_of(study: StudyPaths, name: str, out: Path | None = None) -> Path:
    return write_run_report(ResultsPaths(study.root.parent), study, name, out)


def document(folder: Path, name: str = "report.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def test_a_trial_with_folds_has_a_table_and_a_folder_per_fold(folded: StudyOutcome) -> None:
    made = report_of(folded.paths, "one-floor=0.2")
    assert made == folded.paths.root / "reports" / "train_one-floor=0.2"
    own = {"loss_curves.png", "report.json", "summary.txt", "kfold_results.json"}
    assert names_below(made) == own | {f"fold_{i}/{name}" for i in (1, 2, 3) for name in FILES}
    found = document(made, "kfold_results.json")
    assert [fold["best_val_loss"] for fold in found["folds"]] == pytest.approx([0.2, 0.21, 0.22])
    assert [fold["final_val_loss"] for fold in found["folds"]] == pytest.approx([0.3, 0.31, 0.32])
    assert (found["best_fold"], found["folds"][0]["best_epoch"]) == ("Fold 1", 3)
    text = (made / "summary.txt").read_text()
    assert "State: 3 of 3 done\n" in text
    assert "Mean Best Val Loss:   0.2100 ± 0.0100\n" in text
    assert "train.floor                   : 0.2\n" in text


def test_a_run_is_told_with_what_it_was_given_and_scored(folded: StudyOutcome) -> None:
    made = report_of(folded.paths, "train one-floor=0.2 fold 2")
    assert names_below(made) == FILES
    found = document(made)
    assert (found["study"], found["trial"], found["stage"]) == ("told", "one-floor=0.2", "train")
    assert (found["fold"], found["state"], found["failure"]) == (1, "done", None)
    assert found["hyperparameters"]["train.floor"] == 0.2
    assert found["val_losses"] == pytest.approx([0.41, 0.31, 0.21, 0.31])
    assert found["val_metrics"]["accuracy"] == pytest.approx([0.59, 0.69, 0.79, 0.69])
    assert found["other_metrics"] == {"rate": [0.1] * 4}
    assert found["scores"] == {"score": 0.8, "confusion_0_1": 3.0}
    text = (made / "summary.txt").read_text()
    assert "Run: train one-floor=0.2 fold 2\n" in text
    assert "Best Epoch:                 3\n" in text
    assert "score                         : 0.800000\n" in text
    assert "confusion" not in text


def test_secrets_among_parameters_are_masked(folded: StudyOutcome) -> None:
    made = report_of(folded.paths, "one-floor=0.2:prepare")
    assert document(made)["hyperparameters"] == {"prepare.hub_token": "***", "prepare.size": 8}
    assert "hf_long" not in "".join(path.read_text() for path in made.glob("*.[jt]*"))


def test_a_stage_that_folds_share_is_one_run(folded: StudyOutcome) -> None:
    made = report_of(folded.paths, "one-floor=0.2:prepare")
    assert made.name == "prepare_one-floor=0.2"
    assert not (made / "kfold_results.json").exists()
    found = document(made)
    assert (found["fold"], found["val_losses"]) == (None, [1.0, 0.5])


@pytest.mark.parametrize("name", ["train floor=0.2 fold 2/3", "train one-floor=0.2 fold 2", "KEY"])
def test_every_way_to_name_a_run_leads_to_it(folded: StudyOutcome, name: str) -> None:
    (key,) = [
        one.key
        for one in study_references(folded.paths)
        if one.label == "train one-floor=0.2 fold 2"
    ]
    made = report_of(folded.paths, key[:6].upper() if name == "KEY" else name)
    assert document(made)["key"] == key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("one-flor=0.2", f"{UNKNOWN}; did you mean 'one-floor=0.2'?"),
        ("q", "six or more digits of its key; known: one-floor=0.2, one-floor=0.3"),
        ("train one-floor=0.2 fold 9", "did you mean 'train one-floor=0.2 fold 3'?"),
        (
            "one-floor=0.2:trian",
            "the trial one-floor=0.2 has no stage 'trian'; did you mean 'train'?",
        ),
        ("", "the study told has no run ''"),
    ],
    ids=["typing error", "nothing near", "a label", "a stage", "nothing"],
)
def test_an_unknown_name_is_a_sentence_with_candidates(
    folded: StudyOutcome, name: str, message: str
) -> None:
    with pytest.raises(StoreError) as refused:
        report_of(folded.paths, name)
    assert message in str(refused.value)
    assert len(refused.value.problems) == 1


def test_a_name_of_several_runs_lists_them(told: Told, tmp_path: Path) -> None:
    phases = [
        {"name": "one", "grid": {"train.floor": [0.3, 0.2]}},
        {"name": "two", "grid": {"train.epochs": [5, 6]}},
        {"name": "three", "grid": {"train.floor": [0.2, 0.1]}},
    ]
    outcome = run_study(told(phases=phases), results=tmp_path, in_process=True)
    journal = outcome.paths.events
    text = journal.read_text().replace("train epochs=5 fold 1/3", "train floor=0.3 fold 1/3")
    journal.write_text(text)
    with pytest.raises(StoreError) as refused:
        report_of(outcome.paths, "train floor=0.3 fold 1/3")
    assert str(refused.value) == (
        "'train floor=0.3 fold 1/3' may be train one-floor=0.3 fold 1, train two-epochs=5 fold 1; "
        "name one of these"
    )


def test_a_report_is_the_same_each_time_and_replaces_the_old_one(folded: StudyOutcome) -> None:
    def made() -> dict[str, bytes]:
        folder = report_of(folded.paths, "one-floor=0.3:prepare")
        return {name: (folder / name).read_bytes() for name in names_below(folder)}

    before = made()
    older = folded.paths.root / "reports/prepare_one-floor=0.3/fold_9/summary.txt"
    older.parent.mkdir()
    older.write_text("of when it had folds")
    assert made() == before


def test_a_folder_with_files_of_other_people_is_left_alone(
    folded: StudyOutcome, tmp_path: Path
) -> None:
    made = report_of(folded.paths, "train one-floor=0.2 fold 2", tmp_path)
    assert made == tmp_path / "train_one-floor=0.2_fold_2"
    (made / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match=r"no part of a training report: thesis\.tex; move it"):
        report_of(folded.paths, "train one-floor=0.2 fold 2", tmp_path)
    assert (made / "thesis.tex").read_text() == "mine"
    shutil.rmtree(made)
    made.write_text("mine")
    with pytest.raises(StoreError, match="must be a folder, but is a file"):
        report_of(folded.paths, "train one-floor=0.2 fold 2", tmp_path)


def test_a_failed_run_says_why_and_shows_how_far_it_came(told: Told, tmp_path: Path) -> None:
    phases = [{"name": "one", "grid": {"train.fault_epoch": [0, 3]}}]
    study = told(phases=phases, replicates={})
    outcome = run_study(study, results=tmp_path / "results", in_process=True)
    made = report_of(outcome.paths, "one-fault_epoch=3")
    found = document(made)
    assert (found["state"], found["failure"]) == ("FAILED", "ValueError: the moon was full")
    assert (found["epochs"], found["best_epoch"]) == ([1, 2], 2)
    text = (made / "summary.txt").read_text()
    assert "State: FAILED: ValueError: the moon was full\n" in text
    (told_path,) = [line for line in text.splitlines() if line.startswith("Traceback: ")]
    assert (tmp_path / "results" / told_path.removeprefix("Traceback: ")).is_file()


def test_without_a_journal_a_failed_run_still_says_why(told: Told, tmp_path: Path) -> None:
    phases = [{"name": "one", "grid": {"train.fault_epoch": [0, 3]}}]
    outcome = run_study(told(phases=phases), results=tmp_path / "results", in_process=True)
    outcome.paths.events.unlink()
    made = report_of(outcome.paths, "one-fault_epoch=3")
    text = (made / "summary.txt").read_text()
    assert "State: 0 of 3 done; Fold 1 FAILED: ValueError: the moon was full; " in text
    assert "Fold 3: no finite validation loss\n" in text
    assert not (made / "loss_curves.png").exists()


def test_an_interrupted_run_shows_what_it_reported_so_far(told: Told, tmp_path: Path) -> None:
    results = ResultsPaths(tmp_path / "results")
    cut_off(told(), results.root, after=4)
    study = results.study("told")
    made = report_of(study, "one-floor=0.3")
    found = document(made / "fold_1")
    assert (found["state"], found["epochs"]) == ("not finished", [1, 2])
    assert "Fold 2 not run" in (made / "summary.txt").read_text()
    ends = [run.end for run in recorded_runs(results, study, study_references(study))]
    assert set(ends) == {RunEnd.DONE, RunEnd.UNFINISHED, RunEnd.NOT_RUN}


def test_a_run_that_fails_behind_a_stored_trunk_shows_the_trunk_too(tmp_path: Path) -> None:
    study = Study.model_validate(
        {
            "name": "branching",
            "workload": "trunked",
            "import_from": [str(TESTS)],
            "objective": {"metric": "score"},
            "params": {"grow": {"fault_step": 6}},
            "phases": [{"name": "one", "grid": {"grow.steps": [5, 6]}}],
            "final": {"refit": False, "test": False},
        }
    )
    outcome = run_study(study, results=tmp_path / "results", in_process=True)
    made = report_of(outcome.paths, "one-steps=6")
    found = document(made)
    assert (found["state"], found["epochs"]) == ("FAILED", [1, 2, 3, 4, 5])
    assert "Best Validation Loss:       not reported\n" in (made / "summary.txt").read_text()
    assert not (made / "loss_curves.png").exists()


@pytest.mark.parametrize("seeds", [2, 1])
def test_seeds_are_named_as_such(told: Told, tmp_path: Path, seeds: int) -> None:
    study = told(replicates={"seeds": seeds})
    outcome = run_study(study, results=tmp_path / "results", in_process=True)
    made = report_of(outcome.paths, "one-floor=0.2")
    assert (made / "seed_1").is_dir() == (seeds == 2)
    assert ("RESULTS OVER SEEDS" in (made / "summary.txt").read_text()) == (seeds == 2)


def test_a_damaged_plan_is_a_sentence(told: Told, tmp_path: Path) -> None:
    outcome = run_study(told(), results=tmp_path / "results", in_process=True)
    plan = outcome.paths.phase("one").plan
    record = json.loads(plan.read_text())
    del record["trials"][0]["settings"]
    plan.write_text(json.dumps(record))
    with pytest.raises(StoreError, match=r"plan\.json is not what was written"):
        report_of(outcome.paths, "one-floor=0.3")
