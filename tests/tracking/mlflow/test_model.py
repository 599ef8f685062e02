"""The winner's model, loaded by MLflow in a process that knows nothing of the study."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TESTS
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.dump import yaml_text
from phasetune.tracking.contract import Record, Status
from phasetune.tracking.mlflow.model import built_model
from phasetune.tracking.mlflow.store import mlflow_place
from phasetune.tracking.mlflow.tracker import MlflowTracker
from tracking_samples import put_database, results_below, study_record

OWN = TESTS.parent / "experiments/own_workload"
LOAD = """
import json, sys
import numpy as np
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
digits = np.random.default_rng(0).random((20, 64))
print(json.dumps({
    "labels": model.predict(digits).tolist(),
    "probabilities": model.predict(digits, params={"probabilities": True}).tolist(),
    "inputs": str(model.metadata.signature.inputs),
    "outputs": str(model.metadata.signature.outputs),
}))
"""
TOY = """
from pathlib import Path
from pydantic import BaseModel
from phasetune import Stage

class Params(BaseModel):
    pass

class Data(BaseModel):
    def fingerprint(self, part):
        return part

STAGES = (Stage(name="fit", params=Params, function="toy:fit", reads=("train",)),)

def fit(ctx, params):
    return {}
"""


def kept(folder: Path, workload: str, sources: Path) -> tuple[ResultsPaths, StudyPaths]:
    """A study as `run` would have kept it, with a final model."""
    results, study = results_below(folder)
    content = {
        "name": "one",
        "workload": workload,
        "import_from": [str(sources)],
        "objective": {"metric": "accuracy"},
        "phases": [{"name": "a", "points": [{}]}],
    }
    study.model.mkdir(parents=True)
    study.study.write_text(yaml_text(content))
    random = np.random.default_rng(1)
    np.savez(study.model / "model.npz", weights=random.random((10, 64)), bias=np.zeros(10))
    return results, study


def finished(study: StudyPaths, workload: str) -> Record:
    return study_record(status=Status.FINISHED, model=study.model, workload=workload)


@pytest.fixture
def own(tmp_path: Path) -> tuple[ResultsPaths, StudyPaths]:
    results, study = kept(tmp_path, "workload", OWN)
    put_database(results.mlflow)
    return results, study


@pytest.fixture
def client(own: tuple[ResultsPaths, StudyPaths]) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{own[0].mlflow}")


def test_mlflow_s_model_predicts_as_the_workload_s_own(
    own: tuple[ResultsPaths, StudyPaths], client: Any, tmp_path: Path
) -> None:
    results, study = own
    with closing(MlflowTracker(mlflow_place(None, results), study=study)) as tracker:
        tracker.connect()
        handle = tracker.open(study_record(), None)
        for _ in range(2):
            tracker.update(handle, finished(study, "workload"), told=None)
    run = client.get_run(handle)
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert (logged.name, logged.source_run_id, str(logged.status)) == ("model", handle, "READY")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, f"runs:/{handle}/model"],
        env={"MLFLOW_TRACKING_URI": f"sqlite:///{results.mlflow}", "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, model = json.loads(done.stdout.splitlines()[-1]), _own_model(study.model)
    digits = np.random.default_rng(0).random((20, 64))
    assert found["labels"] == model.predict(digits).tolist()
    assert found["probabilities"] == model.predict_proba(digits).tolist()
    assert found["inputs"] == "[Tensor('float64', (-1, 64))]"
    assert found["outputs"] == "[Tensor('int64', (-1,))]"


def _own_model(folder: Path) -> Any:
    sys.path.insert(0, str(OWN))
    try:
        import workload  # type: ignore[import-not-found, unused-ignore]

        return workload.load(folder)
    finally:
        sys.path.remove(str(OWN))


def test_the_model_names_what_it_needs_and_pickles_nothing(
    own: tuple[ResultsPaths, StudyPaths],
) -> None:
    study = own[1]
    with built_model(study.model, "workload", study) as built:
        assert built.folder is not None
        files = {
            p.relative_to(built.folder).as_posix() for p in built.folder.rglob("*") if p.is_file()
        }
        lines = (built.folder / "requirements.txt").read_text().splitlines()
    assert files == {
        "MLmodel", "code/workload.py", "conda.yaml", "data/model/model.npz", "python_env.yaml",
        "requirements.txt",
    }  # fmt: skip
    assert {line.partition("==")[0] for line in lines} >= {"phasetune", "mlflow", "numpy"}
    assert all("==" in line and "+" not in line for line in lines)
    assert not built.folder.exists()


ECHO = """
class Echo:
    def predict(self, x):
        return x

def load(path):
    return Echo()
"""
RAISES = """
def load(path):
    raise RuntimeError("token=abcdefgh1 is wrong")

def example(data):
    return [1]
"""
ENDS = """
import os

def load(path):
    os._exit(7)

def example(data):
    return [1]
"""


@pytest.mark.parametrize(
    ("more", "note", "is_loadable"),
    [
        ("", "the workload has no load(path)", False),
        (ECHO, "no signature: the workload has no example(data)", True),
        (RAISES, "RuntimeError: token=*** is wrong", False),
        (ENDS, "exit code 7", False),
    ],
    ids=["no load", "no example", "a load that raises", "a load that ends its process"],
)
def test_a_workload_that_offers_less(
    more: str, note: str, is_loadable: bool, tmp_path: Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "toy.py").write_text(f"{TOY}\n{more}")
    study = kept(tmp_path, "toy", sources)[1]
    with built_model(study.model, "toy", study) as built:
        assert built.note == note
        assert (built.folder is not None) == is_loadable


def test_a_model_that_mlflow_can_t_load_leaves_its_files(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "toy.py").write_text(TOY)
    results, study = kept(tmp_path, "toy", sources)
    put_database(results.mlflow)
    with closing(MlflowTracker(mlflow_place(None, results), study=study)) as tracker:
        tracker.connect()
        handle = tracker.open(study_record(), None)
        tracker.update(handle, finished(study, "toy"), told=None)
    client = MlflowClient(f"sqlite:///{results.mlflow}")
    assert [e.path for e in client.list_artifacts(handle, "model_files")] == [
        "model_files/model.npz"
    ]
    run = client.get_run(handle)
    assert run.info.status == "FINISHED"
    assert run.data.tags["phasetune.model_note"] == "the workload has no load(path)"


def test_the_windows_workload_offers_inputs_that_its_models_take() -> None:
    from phasetune.workloads import windows

    data = windows.Data(source="synthetic", windows=50)
    inputs = windows.example(data)
    assert inputs.shape == (2, *data.shape("train")[1:])
    assert inputs.dtype == np.float32
