"""A toy workload beside study files, in a folder of their own that is the working directory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOY = """
from typing import Literal

from pydantic import BaseModel

from phasetune.stage import Stage


class Pretrain(BaseModel):
    width: int = 8


class Optimizer(BaseModel):
    rate: float = 0.1
    name: Literal["adam", "sgd"] = "adam"


class Fit(BaseModel):
    heads: int
    rate: float = 0.5
    flag: bool = False
    clip: float = 1.0
    label: str = "plain"
    sizes: tuple[int, ...] = ()
    optimizer: Optimizer = Optimizer()
    layers: dict[str, Optimizer] = {}


class Test(BaseModel):
    pass


class Data(BaseModel):
    rows: int = 10
    folder: str = "."

    def fingerprint(self, part: str) -> str:
        return part


STAGES = (
    Stage(name="pretrain", params=Pretrain, function=f"{__name__}:run", reads=("unlabeled",)),
    Stage(name="fit", params=Fit, function=f"{__name__}:run", reads=("train",)),
    Stage(name="test", params=Test, function=f"{__name__}:run", reads=("test",)),
)


def run(ctx, params):
    return {"accuracy": 0.5}
"""

STUDY = """\
name: small
workload: toy
params:
  fit: {heads: 4}
objective: {metric: accuracy}
phases:
  - name: rates
    grid: {fit.rate: [0.1, 1e-3]}
  - name: shapes
    points:
      - {pretrain.width: 16, fit.heads: 2, note: small}
      - {pretrain.width: 32, fit.heads: 4, expect: {accuracy: [0.5, 0.7]}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with `toy.py` and `study.yaml`."""
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path, modules = list(sys.path), dict(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
