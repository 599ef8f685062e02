"""Every command of ours in docs/coming-from.md runs, on a study of its shape and a small size."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TESTS
from phasetune.study.dump import yaml_text

ROOT = TESTS.parent
PAGE = (ROOT / "docs/coming-from.md").read_text()
OURS = [
    span
    for span in dict.fromkeys(re.findall(r"`([^`]+)`", PAGE))
    if re.match(r"(phasetune|mlflow) (?!ui|run \.$)\w", span)
]
SMALL = {
    "extends": str(ROOT / "configs/lstm_phase_iv.yaml"),
    "params": {
        "pretrain": {"hidden_size": 8, "epochs": 1},
        "finetune": {"num_heads": 2, "epochs": 2, "freeze_epochs": 1},
    },
    "replicates": {"folds": 2},
    "if_infeasible": "least_violation",
    "phases": [
        {
            "name": "architecture",
            "points": [{"pretrain.hidden_size": 4}, {"finetune.num_heads": 4}],
        },
        {"name": "depth", "points": [{"pretrain.epochs": 1}, {"pretrain.epochs": 2}]},
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like this project's, in which the full-size study is a small one that has run."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "MLproject", folder)
    shutil.copytree(ROOT / "experiments/lstm_phase_iv", folder / "experiments/lstm_phase_iv")
    (folder / "configs").mkdir()
    (folder / "configs/lstm_phase_iv.yaml").write_text(yaml_text(SMALL))
    shutil.copy(ROOT / "configs/quickstart.yaml", folder / "configs")
    for command in (
        "phasetune data make windows --out data/processed --windows 100",
        "phasetune run configs/lstm_phase_iv.yaml",
    ):
        done = said(command, folder)
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "data/own").mkdir()
    shutil.copy(folder / "data/processed/train.npz", folder / "data/own")
    return folder


def said(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as a person types it, in an environment that has ours first on its path."""
    programs = Path(sys.executable).parent
    return subprocess.run(
        shlex.split(command),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_page_has_our_commands() -> None:
    named = {" ".join(command.split()[:2]) for command in OURS}
    assert named >= {
        "phasetune plan", "phasetune run", "phasetune trial", "phasetune best", "phasetune data",
        "mlflow run",
    }  # fmt: skip


@pytest.mark.ray
@pytest.mark.parametrize("command", OURS)
def test_a_command_of_the_page_runs(project: Path, command: str) -> None:
    done = said(command, project)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.ray
def test_what_the_page_says_remains(project: Path) -> None:
    root = project / "results/lstm-phase-iv"
    trial = root / "trials/exp_phase1_timewarp_0.12"
    assert (root / "report.json").exists()
    assert (root / "analysis.txt").exists()
    assert (trial / "results.json").exists()
    assert (trial / "exp_phase1_timewarp_0.12_encoder.safetensors").exists()
    assert (trial / "exp_phase1_timewarp_0.12_encoder.json").exists()


THEIRS = """
orchestrate_phases.py run_lstm_experiment.py aggregate_results.py experiment_configs.py MLproject
generate_augmented_data.py --mode --num_workers --phase --experiment_id --results_dir --output
MLFLOW_AVAILABLE ExperimentConfig ExperimentRunner select_winner min_class1_accuracy
final_recommendation SimpleLSTMModel load_pretrained_encoder unfreeze_encoder_after data_dir
train.npz test.npz unlabeled_augmented.npz results.json phase_iv_final_report.json
phase_iv_analysis.txt _encoder.pt mlruns mlflow nvidia-smi training_config.py torchvision
experiment_id phase description time_warp_sigma hidden_size num_heads pretrain_epochs
finetune_epochs device hidden_dim mask_ratio mask_strategy batch_size bidirectional
pretrain_time_min pretrain_final_train_loss pretrain_final_val_loss pretrain_best_val_loss
finetune_time_min total_time_min accuracy class_k_accuracy class_k_precision
TEMPORAL_AUG_TIME_WARP_SIGMA SIMPLE_LSTM_HIDDEN_SIZE SIMPLE_LSTM_NUM_HEADS MASKED_LSTM_N_EPOCHS
exp_phase1_timewarp_0.12 exp_phase2_arch_128_8 exp_phase3_depth_75
"""


@pytest.mark.parametrize("name", THEIRS.split())
def test_a_name_that_people_know_is_on_the_page(name: str) -> None:
    assert name in PAGE


def test_every_row_of_the_page_has_an_answer() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert len(rows) > 40
    for row in rows:
        there, here = (cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("|"))[:2])
        assert there
        assert here
        assert not here.startswith("dropped") or here.startswith("dropped, because")
