"""What training needs, without Ray and MLflow: fit loop, splits, scores, losses, safe arrays.

Importing it imports no torch; what needs torch is in modules of its own.
"""

from phasetune.train.scores import classification_scores
from phasetune.train.splits import inner_split, outer_split

__all__ = ["classification_scores", "inner_split", "outer_split"]
