"""Handwritten digits with scikit-learn alone: what a workload of one's own needs."""

from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from phasetune import Stage, StageContext, file_digest
from phasetune.train import outer_split


class Represent(BaseModel):
    method: Literal["pca", "kmeans", "random"] = "pca"
    components: int = Field(default=16, ge=2, le=64)


class Classify(BaseModel):
    strength: float = Field(default=1.0, gt=0, description="inverse of the regularisation")


class Test(BaseModel):
    pass


class Data(BaseModel):
    """The 1,797 digits that scikit-learn ships: 899 without labels, 538 to train, 360 to test."""

    source: Literal["digits"] = "digits"

    def fingerprint(self, part: str) -> str:
        file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
        return f"{part} of {file_digest(Path(str(file)))}"

    @cached_property
    def parts(self) -> dict[str, tuple[Any, Any]]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split as cut

        x, y = load_digits(return_X_y=True)
        unlabeled, x, _, y = cut(x / 16, y, train_size=899, random_state=0, stratify=y)
        x, x_test, y, y_test = cut(x, y, test_size=360, random_state=0, stratify=y)
        return {"unlabeled": (unlabeled, None), "train": (x, y), "test": (x_test, y_test)}


def stage(name: str, params: type[BaseModel], reads: str) -> Stage:
    function = f"{__name__}:{name}"
    return Stage(name=name, params=params, function=function, reads=(reads,), uses_gpu=False)


STAGES = (
    stage("represent", Represent, "unlabeled"),
    stage("classify", Classify, "train"),
    stage("test", Test, "test"),
)


def represent(ctx: StageContext, params: Represent) -> dict[str, float]:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.random_projection import GaussianRandomProjection

    digits, k, seed = ctx.data.parts["unlabeled"][0], params.components, ctx.seed
    if params.method == "kmeans":
        found = KMeans(k, n_init=4, random_state=seed).fit(digits).cluster_centers_
    else:
        kind = PCA if params.method == "pca" else GaussianRandomProjection
        found = kind(k, random_state=seed).fit(digits).components_
    np.save(ctx.output / "components.npy", found)
    rest = digits - digits @ np.linalg.pinv(found) @ found
    return {"explained": float(1 - (rest**2).sum() / (digits**2).sum())}


def classify(ctx: StageContext, params: Classify) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression

    assert ctx.parent
    (x, y), components = ctx.data.parts["train"], np.load(ctx.parent / "components.npy")
    train, held_out = outer_split(y, ctx.fold)
    model = LogisticRegression(C=params.strength, max_iter=20_000).fit(
        x[train] @ components.T, y[train]
    )
    np.savez(ctx.output / "model.npz", weights=model.coef_ @ components, bias=model.intercept_)
    rows = held_out if ctx.fold else train
    return scores(load(ctx.output), x[rows], y[rows])


def test(ctx: StageContext, _: Test) -> dict[str, float]:
    assert ctx.parent
    return scores(load(ctx.parent), *ctx.data.parts["test"])


def scores(model: "Linear", x: Any, y: Any) -> dict[str, float]:
    from sklearn.metrics import recall_score

    per_class = recall_score(y, model.predict(x), average=None)
    accuracy = float((model.predict(x) == y).mean())
    return {"accuracy": accuracy, "worst_class_accuracy": float(per_class.min())}


def load(path: Path) -> "Linear":
    with np.load(path / "model.npz", allow_pickle=False) as file:
        return Linear(file["weights"], file["bias"])


def example(data: Data) -> Any:
    return data.parts["train"][0][:2]


class Linear:
    """A linear model of a digit's 64 pixels, shape [n, 64], values in [0, 1]."""

    def __init__(self, weights: Any, bias: Any) -> None:
        self.weights, self.bias = weights, bias

    def predict(self, x: Any) -> Any:
        return self.predict_proba(x).argmax(axis=1)

    def predict_proba(self, x: Any) -> Any:
        from scipy.special import softmax

        return softmax(x @ self.weights.T + self.bias, axis=1)
