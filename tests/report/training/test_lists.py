"""Training reports from plain lists: folders that are never written to twice."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

import phasetune
from phasetune import PhasetuneError, StoreError, kfold_report, training_report
from phasetune.report.training import folder as folder_module

NOON = datetime(2025, 11, 23, 12, 0, 0, tzinfo=UTC)
SHOWN: dict[str, Any] = {
    "train_losses": [2.5, 2.1, 1.8, 1.6, 1.5],
    "val_losses": [2.6, 2.2, 1.9, 1.7, 1.6],
    "train_metrics": {"accuracy": [0.6, 0.7, 0.75, 0.8, 0.82]},
    "val_metrics": {"accuracy": [0.58, 0.68, 0.73, 0.78, 0.80]},
    "hyperparameters": {"lr": 2e-5, "batch_size": 16, "epochs": 5},
}
RULE, THIN = "=" * 80, "-" * 80
SUMMARY = f"""{RULE}
TRAINING REPORT SUMMARY
{RULE}

Generated: {NOON.astimezone().isoformat(sep=" ")}

HYPERPARAMETERS:
{THIN}
  batch_size                    : 16
  epochs                        : 5
  lr                            : 2e-05

TRAINING SUMMARY:
{THIN}
  Total Epochs:               5
  Final Training Loss:        1.500000
  Final Validation Loss:      1.600000
  Best Validation Loss:       1.600000
  Best Epoch:                 5

FINAL VALIDATION METRICS:
{THIN}
  accuracy                      : 0.800000

{RULE}
"""


@pytest.fixture
def at_noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


def stamp() -> str:
    return NOON.astimezone().strftime("%Y%m%d_%H%M%S")


@pytest.mark.usefixtures("at_noon")
def test_the_report_that_people_know(tmp_path: Path) -> None:
    made = training_report(**SHOWN, output_dir=tmp_path / "reports")
    assert made == tmp_path / "reports" / f"training_run_{stamp()}"
    assert {path.name for path in made.iterdir()} == {
        "loss_curves.png",
        "metrics_curves.png",
        "report.json",
        "summary.txt",
    }
    assert (made / "summary.txt").read_text() == SUMMARY


def test_its_document_holds_all_numbers(tmp_path: Path) -> None:
    made = training_report(**SHOWN, output_dir=tmp_path)
    found = json.loads((made / "report.json").read_text())
    assert {name: found[name] for name in SHOWN} == SHOWN
    assert (found["best_epoch"], found["best_val_loss"]) == (5, 1.6)
    assert (found["final_train_loss"], found["final_val_loss"]) == (1.5, 1.6)
    assert (found["total_epochs"], found["final_val_metrics"]) == (5, {"accuracy": 0.8})
    datetime.fromisoformat(found["generated"])


@pytest.mark.usefixtures("at_noon")
def test_reports_of_the_same_second_are_beside_each_other(tmp_path: Path) -> None:
    made = [training_report(**SHOWN, output_dir=tmp_path, prefix="run").name for _ in range(3)]
    assert made == [f"run_{stamp()}", f"run_{stamp()}_2", f"run_{stamp()}_3"]


@pytest.mark.usefixtures("at_noon")
def test_a_file_of_that_name_stays(tmp_path: Path) -> None:
    taken = tmp_path / f"training_run_{stamp()}"
    taken.write_text("mine")
    assert training_report(**SHOWN, output_dir=tmp_path).name == f"training_run_{stamp()}_2"
    assert taken.read_text() == "mine"


def test_what_is_not_finite_is_text_and_no_best_epoch(tmp_path: Path) -> None:
    losses = [math.nan, math.inf]
    made = training_report(train_losses=losses, val_losses=losses, output_dir=tmp_path)
    found = json.loads((made / "report.json").read_text())
    assert found["val_losses"] == ["nan", "inf"]
    assert (found["best_epoch"], found["best_val_loss"]) == (None, None)
    text = (made / "summary.txt").read_text()
    assert "Best Validation Loss:       none is finite\n" in text
    assert "Best Epoch:                 none\n" in text
    assert not (made / "loss_curves.png").exists()
    assert not (made / "metrics_curves.png").exists()


def test_pictures_show_what_is_finite_among_the_rest(tmp_path: Path) -> None:
    made = training_report(
        train_losses=[math.nan, 0.5],
        val_losses=[math.nan, math.nan],
        val_metrics={"auroc": [math.nan, math.nan]},
        output_dir=tmp_path,
    )
    assert (made / "loss_curves.png").exists()
    assert not (made / "metrics_curves.png").exists()


def test_hyperparameters_of_any_kind_are_told_without_secrets(tmp_path: Path) -> None:
    made = training_report(
        train_losses=[1.0],
        val_losses=[1.0],
        hyperparameters={"path": Path("a/b"), "sizes": (1, 2), "hub_token": "hf_long", "x": None},
        output_dir=tmp_path,
    )
    found = json.loads((made / "report.json").read_text())["hyperparameters"]
    assert found == {"path": "a/b", "sizes": [1, 2], "hub_token": "***", "x": None}
    assert "hf_long" not in (made / "summary.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prefix": "../x"}, "prefix must be 1 to 100 ASCII letters"),
        ({"prefix": ""}, "prefix must be 1 to 100 ASCII letters"),
        ({"hyperparameters": [1]}, "hyperparameters must be a mapping from names to values"),
        ({"val_losses": []}, "val_losses must have a number for each epoch, but is empty"),
    ],
    ids=["a path", "nothing", "no mapping", "no losses"],
)
def test_bad_input_is_a_sentence_and_makes_no_folder(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PhasetuneError, match=message) as refused:
        training_report(**{**SHOWN, **changes}, output_dir=tmp_path / "reports")
    assert len(refused.value.problems) == 1
    assert not (tmp_path / "reports").exists()


def test_a_report_that_can_not_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(folder_module, "write_text", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        training_report(**SHOWN, output_dir=tmp_path)
    with pytest.raises(StoreError, match="the disk is full"):
        kfold_report(val_losses_per_fold=[[1.0]], output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(StoreError, match="reports can't be made"):
        training_report(**SHOWN, output_dir=tmp_path / "reports")


@pytest.mark.usefixtures("at_noon")
def test_the_table_of_folds_that_people_know(tmp_path: Path) -> None:
    folds = [[0.5, 0.3456], [0.3312, 0.4], [0.6]]
    made = kfold_report(val_losses_per_fold=folds, output_dir=tmp_path / "kfold")
    assert made == tmp_path / "kfold" / f"kfold_results_{stamp()}.json"
    found = json.loads(made.read_text())
    assert [fold["best_val_loss"] for fold in found["folds"]] == [0.3456, 0.3312, 0.6]
    assert found["losses"]["Fold 2"] == {"epochs": [1, 2], "val_losses": [0.3312, 0.4]}
    text = made.with_suffix(".txt").read_text()
    assert text.startswith("K-FOLD CROSS-VALIDATION RESULTS\n")
    assert text.endswith(f"\nResults saved to: {made}\n")
    assert made.with_suffix(".png").exists()
    again = kfold_report(val_losses_per_fold=folds, output_dir=tmp_path / "kfold")
    assert again.name == f"kfold_results_{stamp()}_2.json"


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([], "val_losses_per_fold must have a list for each fold, but is empty"),
        ([[1.0], []], r"val_losses_per_fold\[1\] must have a number for each epoch, but is empty"),
        ([1.0], r"val_losses_per_fold\[0\] must be a list of numbers, one per epoch, but is 1.0"),
        (7, "val_losses_per_fold must be a list of lists, one per fold, but is 7"),
    ],
    ids=["no fold", "an empty one", "numbers", "a number"],
)
def test_what_are_no_folds_is_refused(tmp_path: Path, losses: Any, message: str) -> None:
    with pytest.raises(PhasetuneError, match=message):
        kfold_report(val_losses_per_fold=losses, output_dir=tmp_path)


def test_the_reports_are_public() -> None:
    assert {"training_report", "kfold_report"} <= set(phasetune.__all__)
