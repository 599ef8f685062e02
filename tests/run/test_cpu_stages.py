"""Stages that use no GPU beside stages that do; no machine of these tests has one, so it is said.

One test runs on a real GPU, and is skipped where there is none.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, StudyMaker
from phasetune import Study, StudyOutcome, run_study
from phasetune.run import backend, changes, machine
from phasetune.run.devices import are_gpus_hidden
from phasetune.store.manifest import with_digest

MIXED = "Trials of one phase were computed in different environment classes."
LOOKS = """
import os
import scripted
from phasetune import Stage

Data, Script = scripted.Data, scripted.Script
STAGES = (
    Stage(name="load", params=Script, function="looks:load", reads=("unlabeled",), uses_gpu=False),
    Stage(name="fit", params=Script, function="looks:fit", reads=("train",)),
)

def load(ctx, params):
    return {"on_gpu": float(ctx.device == "cuda"),
            "hidden": float(os.environ.get("CUDA_VISIBLE_DEVICES") == "")}

def fit(ctx, params):
    return {"score": params.value, "other": 1.0, **load(ctx, params)}
"""

MakeStudy = Callable[..., Study]


@pytest.fixture
def study(scripted_study: StudyMaker, tmp_path: Path) -> MakeStudy:
    """Two trials of a stage on a CPU and one on a GPU."""
    (tmp_path / "looks.py").write_text(LOOKS)

    def make(**changed: Any) -> Study:
        return scripted_study(
            workload="looks",
            import_from=[str(tmp_path), str(TESTS)],
            phases=[{"name": "one", "grid": {"fit.value": [0.2, 0.6]}}],
            final={"refit": False, "test": False},
            **changed,
        )

    return make


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine says that it has a GPU; torch, which an earlier test may have loaded, is not
    asked.
    """

    def device(_: object, *, uses_gpu: bool = True) -> str:
        return "cuda" if uses_gpu else "cpu"

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(backend, "device_of_this_process", device)
    monkeypatch.setattr(changes, "device_of_this_process", device)


def run(study: Study, tmp_path: Path, **options: Any) -> StudyOutcome:
    return run_study(study, results=tmp_path / "results", in_process=True, **options)


def manifests(tmp_path: Path, stage: str) -> list[dict[str, Any]]:
    found = (tmp_path / "results" / "store" / stage).glob("*/manifest.json")
    return [json.loads(path.read_text()) for path in found]


@pytest.mark.usefixtures("_gpu")
def test_a_stage_that_uses_no_gpu_sees_none_and_the_next_one_does(
    study: MakeStudy, tmp_path: Path
) -> None:
    outcome = run(study(numerics={"precision": "fp32"}), tmp_path)
    assert not outcome.failures
    (load,) = manifests(tmp_path, "load")
    assert (load["metrics"]["on_gpu"], load["metrics"]["hidden"]) == (0.0, 1.0)
    assert load["environment"]["device"] == "cpu"
    for fit in manifests(tmp_path, "fit"):
        assert (fit["metrics"]["on_gpu"], fit["metrics"]["hidden"]) == (1.0, 0.0)
        assert fit["environment"]["device"] == "cuda"


@pytest.mark.usefixtures("_gpu")
def test_a_chain_of_both_is_of_one_environment_class(study: MakeStudy, tmp_path: Path) -> None:
    asked = study(numerics={"precision": "fp32"})
    outcome = run(asked, tmp_path)
    assert MIXED not in outcome.report["warnings"]
    (environment,) = outcome.decisions["one"]["environments"]
    assert environment["device"] == "cuda"
    again = run(asked, tmp_path, strict_environment=True)
    assert again.result.account.executed == []


def test_another_class_of_either_kind_is_still_told(study: MakeStudy, tmp_path: Path) -> None:
    run(study(), tmp_path)
    of_gpu = {"device": "cuda", "precision": "bf16"}
    for path in (tmp_path / "results" / "store" / "fit").glob("*/manifest.json"):
        rewrite(path, of_gpu)
    assert MIXED not in run(study(), tmp_path).report["warnings"]
    for path in (tmp_path / "results" / "store" / "load").glob("*/manifest.json"):
        rewrite(path, {"threads": 7})
    outcome = run(study(), tmp_path)
    assert MIXED in outcome.report["warnings"]
    assert len(outcome.decisions["one"]["environments"]) == 2


def rewrite(path: Path, environment: dict[str, Any]) -> None:
    manifest = json.loads(path.read_text())
    manifest["environment"] |= environment
    path.write_text(json.dumps(with_digest(manifest)))


@pytest.mark.parametrize("before", [None, "2"])
def test_what_the_environment_said_of_gpus_is_put_back(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    with machine.hidden_gpus():
        assert are_gpus_hidden()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no GPU here")
def test_on_a_real_gpu_a_stage_without_leaves_it_to_the_next_one() -> None:
    import torch

    with machine.hidden_gpus():
        torch.cuda.is_available()
    assert torch.ones(1, device="cuda").item() == 1.0
