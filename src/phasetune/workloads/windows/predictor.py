"""Using a model: labels and probabilities of windows, and what the encoder makes of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phasetune.workloads.windows import artifact
from phasetune.workloads.windows.model import Classifier, Encoder, normalized

_BATCH = 1024


class WindowEncoder:
    """An encoder for windows of shape [n, time, channel], as they came, not normalised."""

    def __init__(self, encoder: Encoder, *, device: str) -> None:
        self._encoder = encoder.to(device).eval()
        self._device = device

    def encode(self, windows: Any) -> NDArray[np.float32]:
        """One vector per time step: shape [n, time, 2 * hidden_size].

        Raises:
            ValueError: the windows have another number of channels than those it was trained on,
                or are not finite.
        """
        shape = self._encoder.shape
        return _in_batches(windows, shape.channels, self._device, self._encoded)

    def _encoded(self, windows: Tensor) -> Tensor:
        encoded: Tensor = self._encoder(normalized(windows, self._encoder.shape.normalize))
        return encoded.float()


class WindowClassifier:
    """A final model for windows of shape [n, time, channel], as they came, not normalised."""

    def __init__(self, classifier: Classifier, *, device: str) -> None:
        self._classifier = classifier.to(device).eval()
        self._device = device
        self.encoder = WindowEncoder(classifier.encoder, device=device)

    def predict(self, inputs: Any) -> NDArray[np.int64]:
        """Labels, shape [n].

        Raises:
            ValueError: as for `WindowEncoder.encode`.
        """
        labels: NDArray[np.int64] = self.predict_proba(inputs).argmax(axis=1)
        return labels

    def predict_proba(self, inputs: Any) -> NDArray[np.float64]:
        """Probabilities, shape [n, classes].

        Raises:
            ValueError: as for `WindowEncoder.encode`.
        """
        channels = self._classifier.shape.encoder.channels
        return _in_batches(inputs, channels, self._device, self._probabilities)

    def _probabilities(self, windows: Tensor) -> Tensor:
        logits = self._classifier(normalized(windows, self._classifier.shape.encoder.normalize))
        return torch.as_tensor(logits).double().softmax(dim=-1)


def load_classifier(folder: Path, *, device: str = "cpu") -> WindowClassifier:
    """The final model in a folder.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    return WindowClassifier(artifact.load_classifier(folder), device=device)


def load_pretrained(path: Path, *, device: str = "cpu") -> WindowEncoder:
    """A pre-trained encoder alone.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    return WindowEncoder(artifact.load_encoder(path), device=device)


def _in_batches(
    windows: Any, channels: int, device: str, function: Callable[[Tensor], Tensor]
) -> NDArray[Any]:
    checked = _checked(windows, channels)
    with torch.inference_mode():
        parts = [function(part.to(device)).cpu() for part in checked.split(_BATCH)]
        return torch.cat(parts).numpy()


def _checked(windows: Any, channels: int) -> Tensor:
    array = np.require(windows, dtype=np.float32, requirements=["C", "W"])
    if array.ndim != 3 or array.shape[2] != channels or 0 in array.shape:
        raise ValueError(
            f"windows must have shape [n, time, {channels}], but have {list(array.shape)}"
        )
    if not np.isfinite(array).all():
        raise ValueError("windows must be finite, but have NaN or infinity")
    return torch.from_numpy(array)
