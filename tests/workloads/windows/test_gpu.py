"""Whole stages on a GPU: they come to an end, equal bits twice, and scores near those of a CPU."""

from pathlib import Path

import pytest
import torch

from phasetune.workloads.windows import Data, load
from phasetune.workloads.windows.evaluate import test as evaluate
from phasetune.workloads.windows.finetune import finetune
from phasetune.workloads.windows.params import Test as NoParameters
from phasetune.workloads.windows.pretrain import pretrain
from window_stages import context, finetuning, pretraining, small_data

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def trained(data: Data, folder: Path, *, device: str, precision: str) -> tuple[Path, float]:
    """The folder of a fine-tuned model, and its accuracy on the test windows."""
    first = context(folder, data, device=device, precision=precision)
    pretrain(first, pretraining(epochs=4))
    second = context(folder, data, device=device, precision=precision, parent=first.output)
    finetune(second, finetuning(epochs=12, freeze_epochs=2))
    third = context(folder, data, device=device, precision=precision, parent=second.output)
    return second.output, evaluate(third, NoParameters())["accuracy"]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_two_runs_on_a_gpu_are_equal_bit_for_bit(tmp_path: Path, precision: str) -> None:
    data = small_data(tmp_path / "data")
    one, _ = trained(data, tmp_path / "one", device="cuda", precision=precision)
    other, _ = trained(data, tmp_path / "other", device="cuda", precision=precision)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_a_gpu_learns_what_a_cpu_learns_and_its_model_runs_on_both(tmp_path: Path) -> None:
    data = small_data(tmp_path / "data")
    model, on_gpu = trained(data, tmp_path / "gpu", device="cuda", precision="fp32")
    _, on_cpu = trained(data, tmp_path / "cpu", device="cpu", precision="fp32")
    assert on_gpu == pytest.approx(on_cpu, abs=0.2)
    windows = data.windows_of("test")
    on_both = [load(model, device=device).predict_proba(windows) for device in ("cpu", "cuda")]
    assert on_both[0] == pytest.approx(on_both[1], abs=1e-3)
