"""Trackers by their names in a study file."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from phasetune.errors import StudyError
from phasetune.study.trackers import TrackerName
from phasetune.tracking import trackers
from phasetune.tracking.trackers import open_tracker
from tracking_samples import results_below

IMPORT = """
import sys
import phasetune.tracking.trackers
print(sorted({"mlflow", "wandb", "tensorboardX", "torch", "ray", "numpy"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", get_args(TrackerName))
def test_each_name_of_a_study_file_is_a_tracker(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    results, study = results_below(tmp_path)
    tracker = open_tracker(name, None, results=results, study=study)
    assert tracker.name == name
    assert tracker.place
    assert not results.root.exists()
    tracker.close()
    assert not results.root.exists()


def test_another_name_is_a_sentence(tmp_path: Path) -> None:
    results, study = results_below(tmp_path)
    with pytest.raises(StudyError, match="must name one of mlflow, jsonl, tensorboard, wandb"):
        open_tracker("comet", None, results=results, study=study)


@pytest.mark.parametrize("name", ["jsonl", "tensorboard"])
def test_a_place_counts_from_the_results_wherever_a_command_is_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, study = results_below(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    for here in (tmp_path, tmp_path / "elsewhere"):
        monkeypatch.chdir(here)
        tracker = open_tracker(name, "told/x", results=results, study=study)
        assert tracker.place == str(results.root / "told/x")
        absolute = open_tracker(name, str(tmp_path / "x"), results=results, study=study)
        assert absolute.place == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("mlflow", "foo", "tracking.mlflow must be the address of an MLflow store, but is 'foo'"),
        ("jsonl", "http://a:b@c", r"tracking.jsonl must be a path .* is 'http://a:\*\*\*@c'"),
        ("tensorboard", "s3://x", "tracking.tensorboard must be a path on this machine"),
        ("wandb", "a/b/c", "tracking.wandb must be PROJECT or ENTITY/PROJECT, but is 'a/b/c'"),
    ],
)
def test_what_can_be_no_place_is_a_sentence(
    name: str, target: str, message: str, tmp_path: Path
) -> None:
    results, study = results_below(tmp_path)
    with pytest.raises(StudyError, match=message):
        open_tracker(name, target, results=results, study=study)


@pytest.mark.parametrize(
    ("name", "package"),
    [("mlflow", "mlflow"), ("tensorboard", "tensorboardX"), ("wandb", "phasetune[wandb]")],
)
def test_a_package_that_is_missing_is_a_sentence_with_what_to_type(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(module: str) -> Any:
        return None

    assert importlib.util.find_spec("phasetune")
    monkeypatch.setattr(trackers, "find_spec", none)
    results, study = results_below(tmp_path)
    with pytest.raises(StudyError) as raised:
        open_tracker(name, None, results=results, study=study)
    assert f'pip install "{package}"' in str(raised.value)


def test_naming_trackers_imports_none_of_their_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
