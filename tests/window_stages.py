"""Stages of the windows workload by themselves: small data in files, and a context for one run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasetune.workloads.windows import Data, Finetune, Pretrain
from phasetune.workloads.windows.data import FILES
from stage_context import Context

TIME, CHANNELS = 12, 2


def context(folder: Path, data: Data, **given: Any) -> Context:
    """A context whose output is a new folder below `folder`."""
    folder.mkdir(exist_ok=True)
    return Context(data=data, output=Path(tempfile.mkdtemp(dir=folder)), **given)


def waves(labels: NDArray[np.int64], *, seed: int) -> NDArray[np.float32]:
    """Noisy waves, shape [n, TIME, CHANNELS], the faster the higher the label is."""
    rng = np.random.default_rng(seed)
    at = np.arange(TIME)[None, :, None] + rng.uniform(0, 2, (len(labels), 1, CHANNELS))
    clean = np.sin(at * (0.5 + labels[:, None, None]))
    noisy: NDArray[np.float32] = (clean + rng.normal(0, 0.2, clean.shape)).astype(np.float32)
    return noisy


def labelled(count: int, *, classes: int = 2, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Windows `X` and labels `y`; class 0 is the most frequent."""
    labels = np.arange(count, dtype=np.int64) % (classes + 1) % classes
    return {"X": waves(labels, seed=seed), "y": labels}


def data_in(folder: Path, **parts: Mapping[str, NDArray[Any]]) -> Data:
    """Data of exactly these parts, as files."""
    folder.mkdir(exist_ok=True)
    for name, arrays in parts.items():
        np.savez(folder / FILES[name], allow_pickle=False, **arrays)
    return Data(dir=str(folder))


def small_data(folder: Path) -> Data:
    """40 unlabelled windows, 60 to train on, 21 to test on."""
    return data_in(
        folder,
        unlabeled={"X": labelled(40, seed=1)["X"]},
        train=labelled(60, seed=2),
        test=labelled(21, seed=3),
    )


def pretraining(**changes: Any) -> Pretrain:
    """Parameters of a pre-training that takes a moment."""
    given: dict[str, Any] = {
        "hidden_size": 4,
        "epochs": 3,
        "batch_size": 12,
        "learning_rate": 0.01,
        "patch_size": 3,
        "mask_ratio": 0.25,
        "patience": None,
    }
    return Pretrain(**{**given, **changes})


def finetuning(**changes: Any) -> Finetune:
    """Parameters of a fine-tuning that takes a moment, frozen in the first two of its epochs."""
    given: dict[str, Any] = {
        "num_heads": 2,
        "epochs": 4,
        "freeze_epochs": 2,
        "batch_size": 16,
        "learning_rate": 0.01,
        "patience": None,
    }
    return Finetune(**{**given, **changes})


_SIZES = (
    "[{pretrain.hidden_size: 4, finetune.num_heads: 2}, "
    "{pretrain.hidden_size: 8, finetune.num_heads: 4}, "
    "{pretrain.hidden_size: 8, finetune.num_heads: 2}]"
)
SHRUNK = (
    "data.windows=80",
    "data.unlabeled=40",
    "params.pretrain.hidden_size=8",
    "params.pretrain.epochs=1",
    "params.finetune.epochs=2",
    "params.finetune.freeze_epochs=1",
    f"phases.architecture.points={_SIZES}",
    "phases.depth.points=[{pretrain.epochs: 1}, {pretrain.epochs: 2}, {pretrain.epochs: 3}]",
    "replicates.folds=null",
    "constraints=[class_1_accuracy >= 0.0]",
)
"""Overrides that make the quickstart study run in seconds."""

_POINTS = "[{pretrain.hidden_size: 8}, {pretrain.hidden_size: 4}]"
TWO_TRIALS = (
    *SHRUNK,
    "baseline=null",
    f"phases=[{{name: one, trial_name: 'size_{{pretrain.hidden_size}}', points: {_POINTS}}}]",
)
"""Overrides that leave two trials of it, `size_8` and `size_4`, which share nothing."""
