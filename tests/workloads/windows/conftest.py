"""Windows small enough to look at, in files and in a model; torch on one thread."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phasetune import Study
from phasetune.workloads.windows.artifact import save_classifier
from phasetune.workloads.windows.model import Classifier, Encoder, EncoderShape

TIME, CHANNELS = 8, 2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def windows() -> Callable[..., NDArray[np.float32]]:
    """Windows of noise, shape [count, 8, 2]; other ones for each stream."""

    def make(count: int, *, stream: int = 0) -> NDArray[np.float32]:
        noise = np.random.default_rng(stream).normal(size=(count, TIME, CHANNELS))
        return noise.astype(np.float32)

    return make


@pytest.fixture
def folder(tmp_path: Path, windows: Callable[..., NDArray[np.float32]]) -> Callable[..., Path]:
    """A folder of 12 unlabelled windows, 40 to train on and 9 to test, two classes in turn.

    Keywords name a file and replace its arrays; None leaves out an array, or the file.
    """

    def make(name: str = "data", **changes: Mapping[str, Any] | None) -> Path:
        target = tmp_path / name
        target.mkdir(exist_ok=True)
        good: dict[str, dict[str, Any]] = {
            "unlabeled_augmented": {"X": windows(12, stream=1)},
            "train": {"X": windows(40, stream=2), "y": np.arange(40) % 2},
            "test": {"X": windows(9, stream=3), "y": np.arange(9) % 2},
        }
        for file, arrays in good.items():
            changed = changes.get(file, {})
            if changed is not None:
                every = {**arrays, **changed}
                kept = {name: value for name, value in every.items() if value is not None}
                np.savez(target / f"{file}.npz", allow_pickle=True, **kept)
        return target

    return make


@pytest.fixture(scope="session")
def windows_study() -> Callable[..., Study]:
    """A study of one trial that trains for a moment, on the `data:` block that is given."""

    def make(data: Mapping[str, Any], **changes: Any) -> Study:
        content: dict[str, Any] = {
            "name": "windows",
            "workload": "phasetune.workloads.windows",
            "data": dict(data),
            "params": {
                "pretrain": {"hidden_size": 4, "epochs": 0},
                "finetune": {"num_heads": 2, "epochs": 1},
            },
            "objective": {"metric": "accuracy"},
            "phases": [{"name": "one", "points": [{}]}],
        }
        return Study.model_validate({**content, **changes})

    return make


@pytest.fixture
def classifier() -> Classifier:
    """A classifier of three classes with nothing in it at its default."""
    shape = EncoderShape(
        channels=CHANNELS, hidden_size=4, num_layers=2, dropout=0.3, normalize="window"
    )
    return Classifier(Encoder(shape), num_heads=2, num_classes=3, dropout=0.4).eval()


@pytest.fixture
def model(classifier: Classifier, tmp_path: Path) -> Path:
    """The classifier on disk: `model.safetensors` and `model.json`."""
    target = tmp_path / "model"
    target.mkdir()
    save_classifier(target, classifier)
    return target
