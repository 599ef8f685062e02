"""The most memory that a run took: measured by itself, and kept with what it made."""

import json
import resource
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conftest import StudyMaker
from phasetune import StudyOutcome, run_study, runs
from phasetune.run import memory
from phasetune.run.memory import GIB, PeakMemory
from phasetune.store.artifacts import Artifact

LARGE = 256 << 20


def can_forget() -> bool:
    """Whether this system can forget the peak of a process."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


needs_forgetting = pytest.mark.skipif(not can_forget(), reason="peaks can't be forgotten here")


def take(size: int) -> float:
    """Use memory and give it back."""
    return float(np.ones(size, dtype=np.uint8).sum())


@needs_forgetting
def test_a_measurement_has_its_own_peak_and_not_the_one_before() -> None:
    quiet = PeakMemory("cpu").gib()["peak_memory_gib"]
    measured = PeakMemory("cpu")
    take(LARGE)
    assert measured.gib()["peak_memory_gib"] == pytest.approx(quiet + LARGE / GIB, abs=0.05)
    assert PeakMemory("cpu").gib()["peak_memory_gib"] == pytest.approx(quiet, abs=0.05)


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of what the system tells of this process."""
    monkeypatch.setattr(memory, "_OWN", tmp_path)
    return tmp_path


def test_the_peak_is_what_the_system_says(process: Path) -> None:
    (process / "status").write_text("Name:\tpython\nVmPeak:\t 9999999 kB\nVmHWM:\t 1572864 kB\n")
    assert PeakMemory("cpu").gib() == {"peak_memory_gib": 1.5}
    assert (process / "clear_refs").read_text() == "5"


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
@pytest.mark.parametrize(
    "status", [None, "Name:\tpython\n", "VmHWM:\n", "VmHWM:\tmuch\n"],
    ids=["none", "other", "empty", "text"],
)  # fmt: skip
def test_elsewhere_the_process_s_own_peak_is_told(
    process: Path, monkeypatch: pytest.MonkeyPatch, status: str | None, platform: str, unit: int
) -> None:
    if status is not None:
        (process / "status").write_text(status)
    used = SimpleNamespace(ru_maxrss=3 * GIB // unit)
    monkeypatch.setattr(resource, "getrusage", lambda _: used)
    monkeypatch.setattr(sys, "platform", platform)
    assert PeakMemory("cpu").gib() == {"peak_memory_gib": 3.0}


def test_where_the_peak_can_t_be_forgotten_it_is_measured_all_the_same(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_OWN", tmp_path / "missing")
        assert PeakMemory("cpu").gib()["peak_memory_gib"] > 0.0


class Cuda:
    """Stands for torch's allocator: the peak is what was reserved since it was forgotten."""

    def __init__(self) -> None:
        self.reserved = 5 * GIB

    def reset_peak_memory_stats(self) -> None:
        self.reserved = 0

    def max_memory_reserved(self) -> int:
        return self.reserved


@pytest.mark.parametrize(("device", "gpu"), [("cpu", None), ("cuda", 2.25)])
def test_a_gpu_has_a_peak_of_its_own(
    monkeypatch: pytest.MonkeyPatch, device: str, gpu: float | None
) -> None:
    cuda = Cuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    measured = PeakMemory(device)
    cuda.reserved += 2 * GIB + GIB // 4
    found = measured.gib()
    assert found.get("peak_gpu_memory_gib") == gpu
    assert found["peak_memory_gib"] > 0.0


def test_a_gpu_that_torch_did_not_use_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert set(PeakMemory("cuda").gib()) == {"peak_memory_gib"}


WORKLOAD = """
from pydantic import BaseModel
from phasetune import Stage

class P(BaseModel):
    size: int = 0

class Data(BaseModel):
    def fingerprint(self, part):
        return part

STAGES = (Stage(name="fit", params=P, function="takes_memory:fit", reads=("train",)),)

def fit(ctx, params):
    import numpy as np
    return {"score": float(np.ones(params.size, dtype=np.uint8).sum())}
"""


@pytest.fixture
def outcome(scripted_study: StudyMaker, tmp_path: Path) -> StudyOutcome:
    """Two trials in one process; the first takes much."""
    (tmp_path / "takes_memory.py").write_text(WORKLOAD)
    study = scripted_study(
        workload="takes_memory",
        import_from=[str(tmp_path)],
        constraints=[],
        phases=[{"name": "one", "grid": {"fit.size": [LARGE, 1]}}],
        final={"refit": False, "test": False},
    )
    return run_study(study, results=tmp_path / "results", in_process=True)


def of_trial(outcome: StudyOutcome, name: str) -> dict[str, Any]:
    results = json.loads((outcome.paths.trial(name) / "results.json").read_text())
    (run,) = results["replicates"][0]["runs"]
    found: dict[str, Any] = run
    return found


@needs_forgetting
def test_a_run_does_not_inherit_the_peak_of_the_run_before(outcome: StudyOutcome) -> None:
    large, small = (of_trial(outcome, f"one-size={size}")["peak_memory_gib"] for size in (LARGE, 1))
    assert large - small == pytest.approx(LARGE / GIB, abs=0.05)


def test_the_peak_is_kept_wherever_a_run_is_told_of(outcome: StudyOutcome) -> None:
    results = outcome.paths.root.parent
    run = of_trial(outcome, f"one-size={LARGE}")
    manifest = json.loads((results / run["artifact"] / "manifest.json").read_text())
    peak = run["peak_memory_gib"]
    assert peak > LARGE / GIB
    assert manifest["provenance"]["peak_memory_gib"] == peak
    frame = runs(results).set_index("key")
    assert frame.loc[run["key"], "peak_memory_gib"] == peak
    assert "peak_gpu_memory_gib" not in frame.dropna(axis="columns", how="all").columns
    (invocation,) = json.loads(outcome.paths.provenance.read_text())["invocations"]
    executed = {entry["key"]: entry["peak_memory_gib"] for entry in invocation["executed"]}
    assert executed[run["key"]] == peak
    assert "peak" not in outcome.paths.report.read_text()


def test_an_artifact_from_before_it_was_measured_has_none(tmp_path: Path) -> None:
    before = Artifact(folder=tmp_path, manifest={"provenance": {"duration_seconds": 1.0}})
    assert before.resources == {}
    both = {"peak_memory_gib": 1.5, "peak_gpu_memory_gib": 2.0}
    assert Artifact(folder=tmp_path, manifest={"provenance": both}).resources == both
