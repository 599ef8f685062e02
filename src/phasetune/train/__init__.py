"""What training needs, without Ray and MLflow: fit loop, splits, scores, losses, safe arrays.

The names below are resolved when they are first used: a workload's parameters derive from
`settings`, and planning with them shall import neither torch nor numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasetune.train.scores import classification_scores
    from phasetune.train.splits import inner_split, outer_split

_HOME_OF = {
    "classification_scores": "phasetune.train.scores",
    "inner_split": "phasetune.train.splits",
    "outer_split": "phasetune.train.splits",
}

__all__ = ["classification_scores", "inner_split", "outer_split"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
