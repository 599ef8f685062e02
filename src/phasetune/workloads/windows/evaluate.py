"""Scores of a stored model, on whatever rows; and the stage that looks at the test data, once."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from phasetune.stage.contract import StageContext
from phasetune.train.scores import classification_scores
from phasetune.workloads.windows.params import Test
from phasetune.workloads.windows.predictor import load_classifier


def test(ctx: StageContext, _: Test) -> dict[str, float]:
    """The scores of the final model on the test data.

    Raises:
        StageError: the data is not what it must be.
        StoreError: the model can't be read.
    """
    assert ctx.parent is not None  # noqa: S101 - the stage before is finetune
    windows, labels = ctx.data.windows_of("test"), ctx.data.labels_of("test")
    return scores_of(ctx.parent, windows, labels, device=ctx.device)


def scores_of(
    model: Path, windows: NDArray[Any], labels: NDArray[Any], *, device: str
) -> dict[str, float]:
    """The scores of the model in a folder, as anybody who loads it would find them."""
    probabilities = load_classifier(model, device=device).predict_proba(windows)
    return classification_scores(labels, probabilities)
