"""Models on disk: weights as safetensors, and beside them the JSON that suffices to rebuild them.

Nothing here is unpickled, and importing it imports no torch.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from phasetune.errors import StoreError

if TYPE_CHECKING:
    from torch import nn

    from phasetune.workloads.windows.model import Classifier, Encoder

SCHEMA = 1
ENCODER_FILES = ("encoder.safetensors", "encoder.json")
_WEIGHTS, _SHAPE = ".safetensors", ".json"

Shape = TypeVar("Shape", bound=BaseModel)


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
    encoder = Encoder(_read_shape(stem, EncoderShape))
    _load_weights(stem, encoder)
    return encoder


def load_classifier(folder: Path) -> "Classifier":
    """The classifier in a folder that `finetune` left.

    Raises:
        StoreError: as for `load_encoder`.
    """
    from phasetune.workloads.windows.model import Classifier, ClassifierShape, Encoder

    stem = folder / "model"
    shape = _read_shape(stem, ClassifierShape)
    classifier = Classifier(
        Encoder(shape.encoder),
        num_heads=shape.num_heads,
        num_classes=shape.num_classes,
        dropout=shape.dropout,
    )
    _load_weights(stem, classifier)
    return classifier


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
        content = json.loads(path.read_bytes())
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise StoreError(f"{path} has schema {schema}, but {SCHEMA} is what can be read")
        return kind.model_validate(content)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, AttributeError, RecursionError, ValidationError) as error:
        raise StoreError(f"{path} does not describe a model; it is damaged or another's") from error


def _load_weights(stem: Path, module: "nn.Module") -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _file(stem, _WEIGHTS)
    try:
        module.load_state_dict(load_file(path))
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    except (SafetensorError, RuntimeError) as error:
        raise StoreError(
            f"{path} does not hold the weights that {_file(stem, _SHAPE).name} describes; it is "
            "damaged or another's"
        ) from error
