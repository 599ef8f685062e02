"""Models on disk: weights as safetensors, and beside them the JSON that suffices to rebuild them.

Nothing here is unpickled, and importing it imports no torch.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from phasetune.errors import StoreError
from phasetune.store.documents import plain_file_size, read_json

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn

    from phasetune.workloads.windows.model import Classifier, Encoder

SCHEMA = 1
ENCODER_FILES = ("encoder.safetensors", "encoder.json")
_WEIGHTS, _SHAPE = ".safetensors", ".json"
_MOST_HEADER_BYTES = 1024  # for each array, with its name

Shape = TypeVar("Shape", bound=BaseModel)
Module = TypeVar("Module", bound="nn.Module")


def save_encoder(folder: Path, encoder: "Encoder") -> None:
    """Write `encoder.safetensors` and `encoder.json`."""
    _save(folder / "encoder", encoder, encoder.shape)


def save_classifier(folder: Path, classifier: "Classifier") -> None:
    """Write `model.safetensors` and `model.json`."""
    _save(folder / "model", classifier, classifier.shape)


def load_encoder(path: Path) -> "Encoder":
    """The encoder in a folder that `pretrain` left, or an `.safetensors` file beside its JSON.

    Raises:
        StoreError: there is none, or what is there is damaged; the message names the file.
    """
    from phasetune.workloads.windows.model import Encoder, EncoderShape

    stem = path.with_suffix("") if path.suffix == _WEIGHTS else path / "encoder"
    shape = _read_shape(stem, EncoderShape)
    return _filled(stem, lambda: Encoder(shape))


def load_classifier(folder: Path) -> "Classifier":
    """The classifier in a folder that `finetune` left.

    Raises:
        StoreError: as for `load_encoder`.
    """
    from phasetune.workloads.windows.model import Classifier, ClassifierShape, Encoder

    stem = folder / "model"
    shape = _read_shape(stem, ClassifierShape)
    return _filled(
        stem,
        lambda: Classifier(
            Encoder(shape.encoder),
            num_heads=shape.num_heads,
            num_classes=shape.num_classes,
            dropout=shape.dropout,
        ),
    )


def _save(stem: Path, module: "nn.Module", shape: BaseModel) -> None:
    from safetensors.torch import save_file

    weights = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
    save_file(weights, _file(stem, _WEIGHTS))
    content = {"schema": SCHEMA, **shape.model_dump(mode="json")}
    _file(stem, _SHAPE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _read_shape(stem: Path, kind: type[Shape]) -> Shape:
    path = _file(stem, _SHAPE)
    try:
        content = dict(read_json(path))
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise StoreError(f"{path} has schema {schema!s:.20}, but {SCHEMA} is what can be read")
        return kind.model_validate(content)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise StoreError(f"{path} does not describe a model; it is damaged or another's") from error


def _filled(stem: Path, build: Callable[[], Module]) -> Module:
    """A network with the weights beside its JSON, which must fit before any memory is taken."""
    import torch

    with torch.device("meta"):
        expected = build().state_dict()
    path = _file(stem, _WEIGHTS)
    weights = _read_weights(path) if _may_hold(path, expected) else None
    if weights is None or _kinds(weights) != _kinds(expected):
        raise StoreError(
            f"{path} does not hold the weights that {_file(stem, _SHAPE).name} describes; it is "
            "damaged or another's"
        )
    module = build()
    module.load_state_dict(weights)
    return module


def _may_hold(path: Path, expected: Mapping[str, "Tensor"]) -> bool:
    """Whether a file has as many bytes as its weights need; so no header can ask for more."""
    try:
        size = plain_file_size(path)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    content = sum(value.nbytes for value in expected.values())
    return content < size < content + _MOST_HEADER_BYTES * (1 + len(expected))


def _read_weights(path: Path) -> dict[str, "Tensor"] | None:
    """The weights in a file; None where it holds none."""
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception:  # whatever unpacking raises on forged bytes
        return None


def _kinds(weights: Mapping[str, "Tensor"]) -> dict[str, tuple[tuple[int, ...], "dtype"]]:
    return {name: (tuple(value.shape), value.dtype) for name, value in weights.items()}
