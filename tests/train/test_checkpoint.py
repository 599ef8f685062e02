"""Checkpoints: named for people, verified before they are loaded, whole or absent."""

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import resource
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from phasetune.errors import StoreError
from phasetune.train import checkpoint as module
from phasetune.train.checkpoint import (
    checkpoint_name,
    load_checkpoint,
    read_state,
    save_checkpoint,
    write_state,
)

STATE = {"model": {"weight": torch.arange(4.0)}, "step": 3, "rates": [0.1, math.inf]}


def save(folder: Path, epoch: int, **metrics: float) -> Path:
    return save_checkpoint(
        folder, STATE, epoch=epoch, metrics=metrics, parameters={"learning_rate": 0.1}
    )


def forged(folder: Path, content: bytes) -> Path:
    """A checkpoint of any content, whose digest is right."""
    path = save(folder, 1, val_loss=0.5)
    (path / "state.pt").write_bytes(content)
    meta = json.loads((path / "meta.json").read_text())
    meta |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (path / "meta.json").write_text(json.dumps(meta))
    return path


def saved_bytes(state: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


class Running:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self._canary),)


@pytest.mark.parametrize(
    ("epoch", "metric", "value", "name"),
    [
        (10, "val_loss", 0.34561, "epoch010_val_loss0.3456"),
        (1000, "val_loss", 12.0, "epoch1000_val_loss12.0000"),
        (3, "val_loss", -0.5, "epoch003_val_loss-0.5000"),
        (3, "val_loss", None, "epoch003"),
        (3, "val_loss", math.nan, "epoch003"),
        (3, "val_loss", math.inf, "epoch003"),
        (3, "val_loss", 1e300, "epoch003_val_loss1.0000e+300"),
        (3, "../up/f1 @5", 0.25, "epoch003_.._up_f1_50.2500"),
    ],
)
def test_a_name_tells_epoch_and_metric(
    epoch: int, metric: str, value: float | None, name: str
) -> None:
    assert checkpoint_name(epoch, metric, value) == name


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    path = save(tmp_path, 3, val_loss=0.25, accuracy=math.nan)
    assert path == tmp_path / "epoch003_val_loss0.2500"
    loaded = load_checkpoint(path)
    torch.testing.assert_close(loaded.state, STATE, rtol=0.0, atol=0.0)
    assert sorted(file.name for file in path.iterdir()) == ["meta.json", "state.pt"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_meta_tells_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module._git.cache_clear()
    monkeypatch.chdir(tmp_path)
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *command], check=True)  # noqa: S607
    path = save(tmp_path / "kept", 3, val_loss=0.25, accuracy=math.nan)
    module._git.cache_clear()
    meta = load_checkpoint(path).meta
    assert meta["schema"] == 1
    assert meta["epoch"] == 3
    assert meta["metrics"] == {"val_loss": 0.25, "accuracy": "nan"}
    assert meta["parameters"] == {"learning_rate": 0.1}
    assert len(meta["git"]["commit"]) == 40
    assert meta["git"]["dirty"] is False
    assert meta["versions"]["torch"] == str(torch.__version__)
    assert datetime.fromisoformat(meta["saved"]).tzinfo is not None
    assert meta["size"] == (path / "state.pt").stat().st_size


def test_the_commit_is_asked_once_not_for_each_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(module, "git_state", asked.append)
    module._git.cache_clear()
    for epoch in (1, 2, 3):
        save(tmp_path, epoch, val_loss=0.5)
    module._git.cache_clear()
    assert asked == [Path.cwd()]


def test_one_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    path = save(tmp_path, 3, val_loss=0.25)
    (path / "state.pt").write_bytes(b"damaged")
    assert save(tmp_path, 3, val_loss=0.25) == path
    assert load_checkpoint(path).state["step"] == 3


def test_where_writing_fails_the_cause_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match=r"epoch003 can't be written: File too large"):
            save_checkpoint(
                tmp_path, {"weight": torch.ones(10**6)}, epoch=3, metrics={}, parameters={}
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_state_may_stand_in_a_folder_of_its_own(tmp_path: Path) -> None:
    write_state(tmp_path, STATE, epoch=3, metrics={}, parameters={})
    torch.testing.assert_close(read_state(tmp_path), STATE, rtol=0.0, atol=0.0)


def test_a_state_is_put_on_the_device_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    assert load_checkpoint(path, map_location="meta").state["model"]["weight"].is_meta


def test_models_and_optimizers_load_without_unpickling_code(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    path = save_checkpoint(tmp_path, state, epoch=1, metrics={}, parameters={})
    found = torch.load(path / "state.pt", weights_only=True)
    torch.testing.assert_close(found["optimizer"]["state"], state["optimizer"]["state"])


GOOD = saved_bytes({"weight": torch.ones(4)})
OLD = saved_bytes({"weight": torch.ones(4)}, _use_new_zipfile_serialization=False)


def huge(content: bytes) -> bytes:
    """Forged: its four elements become 2**40 of them, by a longer number in the pickle."""
    number = b"\x8a\x06" + (2**40).to_bytes(6, "little")
    return content.replace(b"K\x04Nt", number + b"Nt").replace(b"K\x04tq", number + b"tq")


ZEROS = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\2\x85R."  # eight gibibytes of them


def archive(change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A saved state whose pickle was changed, checksums and all."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith("data.pkl") else content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an archive, as torch.save writes it"),
        (b"x" * 200, "must be an archive"),
        (pickle.dumps({"weight": 1}), "must be an archive"),
        (OLD, "must be an archive"),
        (huge(OLD), "must be an archive"),
        (GOOD[:-30], "can't be loaded"),
        (GOOD[: len(GOOD) // 2], "can't be loaded"),
        (archive(huge), "can't be loaded: record size"),
        (archive(lambda _: b"\x80\x02."), "can't be loaded: "),
        (archive(bytes, zipfile.ZIP_DEFLATED), "declares more than it holds"),
        (archive(lambda _: ZEROS), "holds more than tensors and plain values"),
        (saved_bytes([1, 2]), "must hold a mapping, but holds a list"),
        (saved_bytes({"model": nn.Linear(1, 1)}), "holds more than tensors and plain values"),
    ],
    ids=[
        "empty",
        "noise",
        "pickle",
        "old format",
        "old and huge",
        "torn",
        "half",
        "huge",
        "no value",
        "packed",
        "zeros of any number",
        "a list",
        "a model",
    ],
)
def test_what_is_no_state_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = forged(tmp_path, content)
    with pytest.raises(StoreError) as caught:
        load_checkpoint(path)
    assert str(path / "state.pt") in str(caught.value)
    assert message in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("new_format", [True, False], ids=["archive", "old format"])
def test_code_in_a_state_is_not_run(new_format: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    state = {"weight": torch.ones(1), "code": Running(canary)}
    content = saved_bytes(state, _use_new_zipfile_serialization=new_format)
    with pytest.raises(StoreError):
        load_checkpoint(forged(tmp_path / "kept", content))
    assert not canary.exists()
    if new_format:
        torch.load(io.BytesIO(content), weights_only=False)
        assert canary.exists()


@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.integers(0, 10**6), st.integers(0, 255), min_size=1, max_size=6))
def test_whatever_bytes_are_in_it_it_is_loaded_or_refused(
    changes: dict[int, int], tmp_path: Path
) -> None:
    def changed(content: bytes) -> bytes:
        altered = bytearray(content)
        for position, value in changes.items():
            altered[position % len(altered)] = value
        return bytes(altered)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of pickle protocols
        with contextlib.suppress(StoreError):
            assert isinstance(load_checkpoint(forged(tmp_path, archive(changed))).state, dict)


def test_one_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    content = bytearray((path / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "state.pt").write_bytes(content)
    with pytest.raises(StoreError, match=r"state\.pt is not what was saved: its digest is"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("schema", "told"), [(2, "2"), (None, "None"), ("1", "1")], ids=["later", "none", "text"]
)
def test_another_schema_is_refused(schema: object, told: str, tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "schema": schema}))
    with pytest.raises(StoreError, match=rf"must be of schema 1, but is of {told}"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["meta.json", "state.pt"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    (path / name).unlink()
    with pytest.raises(StoreError, match=name.replace(".", r"\.")):
        load_checkpoint(path)
