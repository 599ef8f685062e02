"""Classify windows of a time series: pre-train an LSTM on unlabelled ones, fine-tune on few.

    pretrain (unlabeled)  ->  finetune (train)  ->  test (test)

A bidirectional LSTM learns to fill in masked parts of windows; a classifier with attention pooling
is fine-tuned on top of it. Importing this package imports no torch, and using a model imports
nothing of training.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasetune.stage.contract import Stage
from phasetune.workloads.windows import rules
from phasetune.workloads.windows.artifact import ENCODER_FILES
from phasetune.workloads.windows.data import Data
from phasetune.workloads.windows.params import Finetune, Pretrain, Test

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from phasetune.workloads.windows.predictor import WindowClassifier, WindowEncoder

__all__ = [
    "STAGES",
    "Data",
    "Finetune",
    "Pretrain",
    "Test",
    "advise",
    "check",
    "example",
    "load",
    "load_encoder",
]

STAGES = (
    Stage(
        name="pretrain",
        params=Pretrain,
        function=f"{__name__}.pretrain:pretrain",
        reads=("unlabeled",),
        exports=ENCODER_FILES,
        milestone=Pretrain.milestone_of_epochs,
    ),
    Stage(
        name="finetune",
        params=Finetune,
        function=f"{__name__}.finetune:finetune",
        reads=("train",),
    ),
    Stage(name="test", params=Test, function=f"{__name__}.evaluate:test", reads=("test",)),
)


def check(params: Mapping[str, Any], data: Data) -> Iterable[str]:
    """What is wrong with the parameters of all stages together, in one sentence each."""
    return rules.problems(params["pretrain"], params["finetune"], data)


def advise(params: Mapping[str, Any], data: Data, *, device: str) -> Iterable[str]:
    """What is allowed, but should be known before it runs on a device."""
    return rules.advice(params["pretrain"], params["finetune"], data, device)


def load(path: str | Path, *, device: str = "cpu") -> "WindowClassifier":
    """A final model: `predict`, `predict_proba`, and `encoder`.

    Raises:
        StoreError: the folder holds no model, or one that is damaged.
    """
    from phasetune.workloads.windows.predictor import load_classifier

    return load_classifier(Path(path), device=device)


def example(data: Data) -> "NDArray[np.float32]":
    """A few windows such as `predict` takes, shape [n, time, channel].

    Raises:
        OSError, StageError: the data is not there, or not what it must be.
    """
    return data.windows_of("train")[:2]


def load_encoder(path: str | Path, *, device: str = "cpu") -> "WindowEncoder":
    """A pre-trained encoder alone: a folder that `pretrain` left, or an `.safetensors` file.

    Raises:
        StoreError: there is no encoder, or one that is damaged.
    """
    from phasetune.workloads.windows.predictor import load_pretrained

    return load_pretrained(Path(path), device=device)
