"""What MLflow calls to load a model that phasetune logged: the workload's own `load`.

Importing this imports neither MLflow nor torch; the workload decides what it needs.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.stage.contract import Predictor


class PyfuncModel:
    """A workload's predictor, called as MLflow calls models."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Labels of the inputs, as the workload's predictor gives them.

        With `params={"probabilities": True}` probabilities, shape [n, classes].
        """
        if params and params.get("probabilities"):
            return self.predictor.predict_proba(model_input)
        return self.predictor.predict(model_input)


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> PyfuncModel:
    """MLflow asks for this by name; `model_config` names the workload's module."""
    workload = importlib.import_module(model_config["workload"])
    return PyfuncModel(workload.load(Path(path)))
