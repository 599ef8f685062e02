"""A chain of three stages whose data says what it is, without files or imports by path."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from phasetune.plan.data import data_state
from phasetune.plan.planner import Planner
from phasetune.stage.contract import CheckParameters, Stage
from phasetune.stage.resolve import ResolvedWorkload
from phasetune.study.load import LoadedStudy
from phasetune.study.schema import Study


class Pretrain(BaseModel):
    hidden_size: int = 128
    epochs: int = 50


class Optimizer(BaseModel):
    lr: float = 0.1
    momentum: float = 0.9


class Finetune(BaseModel):
    num_heads: int = 8
    time_warp_sigma: float = 0.12
    epochs: int = 50
    label: str = ""
    sizes: list[int] = [8]
    optimizer: Optimizer | None = None


class Score(BaseModel):
    pass


class Data(BaseModel):
    """Fingerprints per part; an empty one is a part that is missing."""

    unlabeled: str = "u1"
    train: str = "t1"
    test: str = "s1"
    rarest: int = 100

    def fingerprint(self, part: str) -> str:
        if not getattr(self, part):
            raise FileNotFoundError(2, "No such file or directory", f"{part}.npy")
        return str(getattr(self, part))

    def check(self, *, folds: int) -> Iterable[str]:
        if self.rarest < folds:
            yield f"the rarest class has {self.rarest} rows, too few for {folds} parts"


STAGES = (
    Stage(name="pretrain", params=Pretrain, function="toy:pretrain", reads=("unlabeled",)),
    Stage(name="finetune", params=Finetune, function="toy:finetune", reads=("train",)),
    Stage(name="test", params=Score, function="toy:test", reads=("test",)),
)


def heads_divide(params: Mapping[str, Any], data: Any) -> Iterable[str]:
    if params["pretrain"].hidden_size % params["finetune"].num_heads:
        yield "pretrain.hidden_size must be a multiple of finetune.num_heads"


SIGMAS: dict[str, Any] = {
    "name": "timewarp",
    "grid": {"finetune.time_warp_sigma": [0.10, 0.12, 0.15, 0.20]},
}


@pytest.fixture
def study() -> Callable[..., LoadedStudy]:
    """A study over the chain; keywords replace its fields, `stages`, `code` and `check`
    the workload's."""

    def make(
        *,
        stages: tuple[Stage, ...] = STAGES,
        code: str = "c1",
        check: CheckParameters | None = heads_divide,
        **fields: Any,
    ) -> LoadedStudy:
        content = {"name": "toy", "workload": "toy", "objective": {"metric": "accuracy"}}
        return LoadedStudy(
            study=Study.model_validate({**content, "phases": [SIGMAS], **fields}),
            workload=ResolvedWorkload(
                path="toy",
                stages=stages,
                data_type=Data,
                code=code,
                imports=frozenset(),
                check=check,
            ),
        )

    return make


@pytest.fixture
def planner(study: Callable[..., LoadedStudy]) -> Callable[..., Planner]:
    """The planner of a study that `study` makes from the same keywords."""

    def make(**fields: Any) -> Planner:
        loaded = study(**fields)
        return Planner(loaded, data_state(loaded).fingerprints)

    return make
