"""Models on disk: what comes back is what was saved, and damage is a sentence that names a file."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from phasetune import StoreError
from phasetune.workloads.windows.artifact import (
    ENCODER_FILES,
    load_classifier,
    load_encoder,
    save_classifier,
    save_encoder,
)
from phasetune.workloads.windows.model import Classifier, Encoder, EncoderShape

NO_MODEL = "does not describe a model; it is damaged or another's"
NO_WEIGHTS = "does not hold the weights that model.json describes; it is damaged or another's"
SHAPES = [
    EncoderShape(channels=2, hidden_size=4, num_layers=1, dropout=0.0, normalize="window"),
    EncoderShape(channels=1, hidden_size=6, num_layers=3, dropout=0.25, normalize="none"),
]


class Canary:
    """Touches a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def refusal(model: Path) -> str:
    with pytest.raises(StoreError) as caught:
        load_classifier(model)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def change_shape(model: Path, **changes: Any) -> None:
    path = model / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_encoder(model: Path, **changes: Any) -> None:
    encoder = json.loads((model / "model.json").read_text())["encoder"]
    change_shape(model, encoder={**encoder, **changes})


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("shape", SHAPES, ids=["small", "deep"])
def test_a_classifier_comes_back_bit_for_bit(tmp_path: Path, shape: EncoderShape) -> None:
    saved = Classifier(Encoder(shape), num_heads=2, num_classes=5, dropout=0.4)
    save_classifier(tmp_path, saved)
    loaded = load_classifier(tmp_path)
    assert_equal(loaded, saved)
    assert loaded.shape == saved.shape
    windows = torch.randn(3, 7, shape.channels)
    assert torch.equal(loaded.eval()(windows), saved.eval()(windows))


@pytest.mark.parametrize("shape", SHAPES, ids=["small", "deep"])
def test_an_encoder_comes_back_from_its_folder_and_from_its_file(
    tmp_path: Path, shape: EncoderShape
) -> None:
    saved = Encoder(shape)
    save_encoder(tmp_path, saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(ENCODER_FILES)
    for loaded in (load_encoder(tmp_path), load_encoder(tmp_path / "encoder.safetensors")):
        assert_equal(loaded, saved)
        assert loaded.shape == shape


def test_an_encoder_s_file_may_have_another_name(tmp_path: Path) -> None:
    saved = Encoder(SHAPES[0])
    save_encoder(tmp_path, saved)
    for file in ENCODER_FILES:
        (tmp_path / file).rename(tmp_path / file.replace("encoder", "best.v2"))
    assert_equal(load_encoder(tmp_path / "best.v2.safetensors"), saved)
    with pytest.raises(StoreError, match=r"encoder\.json can't be read: No such file"):
        load_encoder(tmp_path)


def test_the_same_model_is_the_same_bytes(classifier: Classifier, model: Path) -> None:
    first = {path.name: path.read_bytes() for path in model.iterdir()}
    save_classifier(model, classifier)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == first
    assert set(first) == {"model.safetensors", "model.json"}


def test_the_json_says_all_that_rebuilds_the_model_but_its_weights(
    classifier: Classifier, model: Path
) -> None:
    described = json.loads((model / "model.json").read_text())
    shape = described["encoder"]
    rebuilt = Classifier(
        Encoder(EncoderShape(**shape)),
        num_heads=described["num_heads"],
        num_classes=described["num_classes"],
        dropout=described["dropout"],
    )
    rebuilt.load_state_dict(load_file(model / "model.safetensors"))
    assert_equal(rebuilt, classifier)
    assert rebuilt.shape == classifier.shape
    assert str(rebuilt) == str(classifier)


@pytest.mark.parametrize("keep", [0, 4, 100, -4])
def test_weights_that_were_cut_are_refused(model: Path, keep: int) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(model) == f"{path} {NO_WEIGHTS}"


def test_a_header_that_promises_more_than_there_is_is_refused(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(b"\xff" * 7 + b"\x7f" + path.read_bytes()[8:])
    assert refusal(model) == f"{path} {NO_WEIGHTS}"


def test_a_file_larger_than_its_weights_is_not_read(model: Path) -> None:
    path = model / "model.safetensors"
    os.truncate(path, 1 << 40)
    assert refusal(model) == f"{path} {NO_WEIGHTS}"


def pickled(canary: Canary, path: Path) -> None:
    path.write_bytes(pickle.dumps(canary))


def saved_by_torch(canary: Canary, path: Path) -> None:
    torch.save({"head.2.bias": canary}, path)


def unpickle(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301 - proves that it would run


def load_by_torch(path: Path) -> Any:
    return torch.load(path.rename(path.with_suffix(".pt")), weights_only=False)


@pytest.mark.parametrize(
    ("write", "run"), [(pickled, unpickle), (saved_by_torch, load_by_torch)], ids=["plain", "torch"]
)
def test_a_pickle_in_place_of_weights_is_refused_and_not_run(
    model: Path,
    tmp_path: Path,
    write: Callable[[Canary, Path], None],
    run: Callable[[Path], Any],
) -> None:
    path, sang = model / "model.safetensors", tmp_path / "sang"
    write(Canary(sang), path)
    assert refusal(model) == f"{path} {NO_WEIGHTS}"
    assert not sang.exists()
    run(path)
    assert sang.exists()


def test_weights_that_lack_one_or_have_one_more_are_refused(model: Path) -> None:
    path = model / "model.safetensors"
    weights = load_file(path)
    save_file({name: value for name, value in weights.items() if name != "pooling.query"}, path)
    assert refusal(model) == f"{path} {NO_WEIGHTS}"
    save_file({**weights, "more": torch.zeros(1)}, path)
    assert refusal(model) == f"{path} {NO_WEIGHTS}"


@pytest.mark.parametrize(
    "changes", [{"hidden_size": 8}, {"num_layers": 1}, {"num_layers": 3}, {"channels": 3}]
)
def test_weights_of_another_shape_are_refused(model: Path, changes: dict[str, Any]) -> None:
    change_encoder(model, **changes)
    assert refusal(model) == f"{model / 'model.safetensors'} {NO_WEIGHTS}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"null",
        b"3",
        b'"text"',
        b"{}",
        b'{"schema": 1}',
        b"[" * 100_000,
    ],
    ids=lambda content: content[:12].decode(errors="replace"),
)
def test_a_json_that_describes_nothing_is_refused(model: Path, content: bytes) -> None:
    path = model / "model.json"
    path.write_bytes(content)
    assert refusal(model) == f"{path} {NO_MODEL}"


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_a_schema_that_is_not_known_is_told(model: Path, schema: Any) -> None:
    change_shape(model, schema=schema)
    assert refusal(model) == (
        f"{model / 'model.json'} has schema {schema}, but 1 is what can be read"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": 10**12},
        {"num_heads": 10**9},
        {"num_heads": 0},
        {"dropout": 2.0},
        {"encoder": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_classifier_that_can_t_be_is_refused(model: Path, changes: dict[str, Any]) -> None:
    change_shape(model, **changes)
    assert refusal(model) == f"{model / 'model.json'} {NO_MODEL}"


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 10**9},
        {"num_layers": 10**6},
        {"channels": 10**12},
        {"channels": -1},
        {"normalize": "__import__"},
    ],
    ids=str,
)
def test_an_encoder_of_absurd_size_is_refused_by_its_json(
    model: Path, changes: dict[str, Any]
) -> None:
    change_encoder(model, **changes)
    assert refusal(model) == f"{model / 'model.json'} {NO_MODEL}"


LOAD_IN_LITTLE_MEMORY = """
import resource, sys, torch
from pathlib import Path
from phasetune import StoreError
from phasetune.workloads.windows.artifact import load_classifier
load_classifier(Path(sys.argv[1]))
used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (used + (256 << 20),) * 2)
try:
    load_classifier(Path(sys.argv[2]))
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_large_shape_beside_few_weights_is_refused_without_allocating(
    classifier: Classifier, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "good").mkdir()
    save_classifier(tmp_path / "good", classifier)
    change_encoder(model, hidden_size=4096, num_layers=16)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_IN_LITTLE_MEMORY, str(tmp_path / "good"), str(model)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{model / 'model.safetensors'} {NO_WEIGHTS}"


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_file_that_is_not_there_is_named(model: Path, file: str) -> None:
    (model / file).unlink()
    assert refusal(model).startswith(f"{model / file} can't be read: No such file or directory")
    (model / file).mkdir()
    assert refusal(model).startswith(f"{model / file} can't be read: ")
    assert refusal(model / "none").startswith(f"{model / 'none' / 'model.json'} can't be read: ")


def test_a_classifier_is_no_encoder(model: Path) -> None:
    with pytest.raises(StoreError, match=r"model\.json does not describe a model"):
        load_encoder(model / "model.safetensors")
