"""The stage that looks at the test data, once."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phasetune import StoreError
from phasetune.train.scores import classification_scores
from phasetune.workloads.windows import Data, evaluate, load, params
from phasetune.workloads.windows.finetune import finetune
from phasetune.workloads.windows.pretrain import pretrain
from stage_context import Context
from window_stages import context, data_in, finetuning, labelled, pretraining, small_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return small_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def model(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pre-training and a refit left."""
    first = context(tmp_path_factory.mktemp("runs"), data)
    pretrain(first, pretraining(epochs=1))
    second = context(first.output.parent, data, parent=first.output)
    finetune(second, finetuning(epochs=3))
    return second.output


@pytest.fixture
def tested(model: Path, tmp_path: Path) -> Callable[[Data], tuple[Context, dict[str, float]]]:
    def go(data: Data) -> tuple[Context, dict[str, float]]:
        ctx = context(tmp_path / "runs", data, parent=model)
        return ctx, evaluate.test(ctx, params.Test())

    return go


Tested = Callable[[Data], tuple[Context, dict[str, float]]]


def test_it_finds_what_anybody_who_loads_the_model_finds(
    tested: Tested, data: Data, model: Path
) -> None:
    _, metrics = tested(data)
    probabilities = load(model).predict_proba(data.windows_of("test"))
    assert metrics == classification_scores(data.labels_of("test"), probabilities)
    right = load(model).predict(data.windows_of("test")) == labelled(21, seed=3)["y"]
    assert metrics["accuracy"] == pytest.approx(right.mean())


def test_it_reads_the_test_data_alone_and_leaves_nothing(
    tested: Tested, data: Data, tmp_path: Path
) -> None:
    alone = data_in(tmp_path / "alone", test=labelled(21, seed=3))
    ctx, metrics = tested(alone)
    assert metrics == tested(data)[1]
    assert list(ctx.output.iterdir()) == []
    assert ctx.rows == []


def test_other_test_data_has_other_scores(tested: Tested, data: Data, tmp_path: Path) -> None:
    other = data_in(tmp_path / "other", test=labelled(33, seed=4))
    metrics = tested(other)[1]
    assert metrics["log_loss"] != tested(data)[1]["log_loss"]
    assert sum(metrics[f"confusion_{i}_{j}"] for i in range(2) for j in range(2)) == 33


def test_a_class_that_is_not_tested_has_no_score(tested: Tested, tmp_path: Path) -> None:
    content = labelled(12, seed=3)
    zeros = data_in(tmp_path / "zeros", test={**content, "y": np.zeros(12, dtype=np.int64)})
    metrics = tested(zeros)[1]
    assert math.isnan(metrics["class_1_accuracy"])
    assert math.isnan(metrics["auroc"])
    assert metrics["accuracy"] == metrics["class_0_accuracy"]


def test_test_windows_of_another_kind_are_refused(tested: Tested, tmp_path: Path) -> None:
    windows = np.zeros((4, 12, 3), dtype=np.float32)
    wide = data_in(tmp_path / "wide", test={"X": windows, "y": np.array([0, 1, 0, 1])})
    message = r"windows must have shape \[n, time, 2\], but have \[4, 12, 3\]"
    with pytest.raises(ValueError, match=message):
        tested(wide)


def test_a_model_that_is_not_there_is_named(data: Data, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ctx = context(tmp_path / "runs", data, parent=tmp_path / "empty")
    with pytest.raises(StoreError, match=r"empty/model\.json can't be read: No such file"):
        evaluate.test(ctx, params.Test())
