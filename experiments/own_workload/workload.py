"""Handwritten digits with scikit-learn alone: what a workload of one's own needs."""

from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from phasetune import Stage, StageContext, file_digest


class Represent(BaseModel):
    method: Literal["pca", "kmeans", "random"] = "pca"
    components: int = Field(default=16, ge=2, le=64)


class Classify(BaseModel):
    strength: float = Field(default=1.0, gt=0, description="inverse of the regularisation")


class Test(BaseModel):
    pass


class Data(BaseModel):
    """The 1,797 digits that scikit-learn ships: 898 without labels, 539 to train, 360 to test."""

    source: Literal["digits"] = "digits"

    def fingerprint(self, part: str) -> str:
        package = Path(str(find_spec("sklearn").origin)).parent  # type: ignore[union-attr]
        return f"{part} of {file_digest(package / 'datasets' / 'data' / 'digits.csv.gz')}"

    @cached_property
    def parts(self) -> dict[str, tuple[Any, Any]]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split as cut

        x, y = load_digits(return_X_y=True)
        unlabeled, x, _, y = cut(x / 16, y, test_size=899, random_state=0, stratify=y)
        x, x_test, y, y_test = cut(x, y, test_size=360, random_state=0, stratify=y)
        return {"unlabeled": (unlabeled, None), "train": (x, y), "test": (x_test, y_test)}


STAGES = (
    Stage(
        name="represent",
        params=Represent,
        function=f"{__name__}:represent",
        reads=("unlabeled",),
    ),
    Stage(name="classify", params=Classify, function=f"{__name__}:classify", reads=("train",)),
    Stage(name="test", params=Test, function=f"{__name__}:test", reads=("test",)),
)


def represent(ctx: StageContext, params: Represent) -> dict[str, float]:
    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.random_projection import GaussianRandomProjection

    digits, k = ctx.data.parts["unlabeled"][0], params.components
    if params.method == "kmeans":
        found = KMeans(k, n_init=4, random_state=ctx.seed).fit(digits).cluster_centers_
    else:
        kind = PCA if params.method == "pca" else GaussianRandomProjection
        found = kind(k, random_state=ctx.seed).fit(digits).components_
    np.save(ctx.output / "components.npy", found)
    rebuilt = digits @ np.linalg.pinv(found) @ found
    return {"explained": float(1 - ((digits - rebuilt) ** 2).sum() / (digits**2).sum())}


def classify(ctx: StageContext, params: Classify) -> dict[str, float]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from phasetune.train import outer_split

    (x, y), components = ctx.data.parts["train"], np.load(ctx.parent / "components.npy")  # type: ignore[operator]
    train, held_out = outer_split(y, ctx.fold)
    model = LogisticRegression(C=params.strength, max_iter=2000)
    model.fit(x[train] @ components.T, y[train])
    weights, bias = model.coef_ @ components, model.intercept_
    np.savez(ctx.output / "model.npz", weights=weights, bias=bias)
    rows = held_out if ctx.fold else train
    return scores(y[rows], load(ctx.output).predict(x[rows]))


def test(ctx: StageContext, params: Test) -> dict[str, float]:
    x, y = ctx.data.parts["test"]
    return scores(y, load(ctx.parent).predict(x))  # type: ignore[arg-type]


def scores(truth: Any, predicted: Any) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, recall_score

    per_class: Mapping[int, float] = dict(enumerate(recall_score(truth, predicted, average=None)))
    found = {f"class_{digit}_accuracy": float(value) for digit, value in per_class.items()}
    worst = min(found.values())
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "worst_class_accuracy": worst,
        **found,
    }


def load(path: Path) -> "Digits":
    import numpy as np

    with np.load(path / "model.npz", allow_pickle=False) as file:
        return Digits(file["weights"], file["bias"])


class Digits:
    """A linear model of a digit's 64 pixels, shape [n, 64], values in [0, 1]."""

    def __init__(self, weights: Any, bias: Any) -> None:
        self.weights, self.bias = weights, bias

    def predict(self, x: Any) -> Any:
        return (x @ self.weights.T + self.bias).argmax(axis=1)

    def predict_proba(self, x: Any) -> Any:
        from scipy.special import softmax

        return softmax(x @ self.weights.T + self.bias, axis=1)
