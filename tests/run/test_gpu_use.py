"""How busy a GPU was: no machine of these tests has one, so NVML is played by a module of theirs.

One test asks a real GPU, and is skipped where there is none.
"""

import builtins
import json
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import run_study
from phasetune.run import execute, gpu_use
from phasetune.run.gpu_use import GpuUse


class RefusedError(Exception):
    """What NVML raises."""


class FakeNvml:
    """Stands for `pynvml`: `names` are those of its devices, `uses` what it tells one by one."""

    def __init__(
        self,
        uses: Sequence[int | Exception],
        *,
        names: Sequence[str] = ("H100",),
        starts: bool = True,
    ) -> None:
        self.uses = list(uses)
        self.names = names
        self.starts = starts
        self.asked: list[str] = []
        self.open = 0
        self.has_told_all = threading.Event()

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own names
        if not self.starts:
            raise RefusedError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.names)

    def nvmlDeviceGetName(self, handle: str) -> str:  # noqa: N802
        return self.names[int(handle)]

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        if index >= len(self.names):
            raise RefusedError("Invalid Argument")
        return str(index)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if not uuid.startswith(("GPU-", "MIG-")):
            raise RefusedError("Not Found")
        return uuid

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:  # noqa: N802
        self.asked.append(handle)
        if handle.startswith("MIG-"):
            raise RefusedError("Not Supported")
        told = self.uses.pop(0) if len(self.uses) > 1 else self.uses[0]
        if len(self.asked) >= 3:
            self.has_told_all.set()
        if isinstance(told, Exception):
            raise told
        return SimpleNamespace(gpu=told)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """A driver with one GPU that is busy for 40% of the time, and no variable that hides it."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    return plays(monkeypatch, FakeNvml([40]))


def plays(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> FakeNvml:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_a_short_run_is_measured_once_at_its_end(nvml: FakeNvml) -> None:
    with GpuUse("cuda") as gpu:
        pass
    assert gpu.percent() == {"gpu_use_percent": 40.0}
    assert (nvml.asked, nvml.open) == (["0"], 0)


def test_the_mean_of_all_samples_is_told(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> None:
    monkeypatch.setattr(gpu_use, "PERIOD_SECONDS", 0.001)
    nvml = plays(monkeypatch, FakeNvml([10, 20, 75, 75]))
    with GpuUse("cuda") as gpu:
        assert nvml.has_told_all.wait(10)
        told = gpu.percent()
    asked = len(nvml.asked)
    assert told == {"gpu_use_percent": round((30 + 75 * (asked - 2)) / asked, 1)}
    assert gpu.percent() == told
    assert len(nvml.asked) == asked  # nobody asks any more


def test_a_cpu_asks_nobody(nvml: FakeNvml) -> None:
    with GpuUse("cpu") as gpu:
        pass
    assert gpu.percent() == {}
    assert nvml.asked == []


@pytest.mark.parametrize(
    ("visible", "order", "names", "asked"),
    [
        (None, None, ["H100"], "0"),
        ("1", None, ["H100", "H100"], "1"),
        (" 1 , 0", None, ["H100", "H100"], "1"),
        ("GPU-0a1b,GPU-2c", None, ["H100", "A100"], "GPU-0a1b"),
        ("1", "PCI_BUS_ID", ["T4", "H100"], "1"),
        ("1", None, ["T4", "H100"], None),
        ("0", "FASTEST_FIRST", ["T4", "H100"], None),
        ("7", None, ["H100"], None),
        ("", None, ["H100"], None),
        ("NoDevFiles", None, ["H100"], None),
    ],
    ids=[
        "all", "one", "several", "by UUID", "in order of the bus",
        "fastest first by default", "fastest first", "none such", "hidden", "odd",
    ],
)  # fmt: skip
def test_the_gpu_of_this_process_is_asked_or_none(
    monkeypatch: pytest.MonkeyPatch,
    nvml: FakeNvml,
    visible: str | None,
    order: str | None,
    names: list[str],
    asked: str | None,
) -> None:
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        if value is not None:
            monkeypatch.setenv(name, value)
    nvml = plays(monkeypatch, FakeNvml([40], names=names))
    with GpuUse("cuda") as gpu:
        pass
    assert gpu.percent() == ({} if asked is None else {"gpu_use_percent": 40.0})
    assert nvml.asked == ([] if asked is None else [asked])
    assert nvml.open == 0


@pytest.mark.parametrize(
    ("driver", "visible"),
    [
        (FakeNvml([40], starts=False), "0"),
        (FakeNvml([RefusedError("GPU is lost")]), "0"),
        (FakeNvml([40], names=[]), "0"),
        (FakeNvml([40]), "MIG-1234"),
    ],
    ids=["no driver", "an error", "no device", "a part of a GPU"],
)
def test_a_driver_that_does_not_tell_fails_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    driver: FakeNvml,
    visible: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    plays(monkeypatch, driver)
    with GpuUse("cuda") as gpu:
        pass
    assert gpu.percent() == {}
    assert driver.open == 0
    assert capsys.readouterr() == ("", "")


def test_an_error_makes_nothing_of_what_was_told_before(
    monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml
) -> None:
    monkeypatch.setattr(gpu_use, "PERIOD_SECONDS", 0.001)
    nvml = plays(monkeypatch, FakeNvml([10, 20, RefusedError("GPU is lost")]))
    with GpuUse("cuda") as gpu:
        assert nvml.has_told_all.wait(10)
    assert gpu.percent() == {}


def test_without_nvml_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "pynvml":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with GpuUse("cuda") as gpu:
        pass
    assert gpu.percent() == {}


def test_it_is_kept_with_what_a_run_made_and_with_its_failure(
    monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    monkeypatch.setattr(execute, "GpuUse", lambda _: GpuUse("cuda"))
    points = [{"train.value": 0.4}, {"train.fault": "raise"}]
    study = scripted_study(phases=[{"name": "one", "points": points}])
    outcome = run_study(study, results=tmp_path, in_process=True)
    manifests = list((tmp_path / "store").glob("*/*/manifest.json"))
    for path in manifests:
        assert json.loads(path.read_text())["provenance"]["gpu_use_percent"] == 40.0
    assert manifests
    (failed,) = outcome.failures
    assert failed.traceback.read_text().endswith(", gpu_use_percent 40\n")
    assert "gpu_use" not in outcome.paths.report.read_text()


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no GPU here")
def test_a_real_gpu_is_somewhere_between_idle_and_busy() -> None:
    with GpuUse("cuda") as gpu:
        pass
    assert 0.0 <= gpu.percent()["gpu_use_percent"] <= 100.0
