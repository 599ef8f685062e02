"""The fixed columns of each frame, and their types: the same with and without rows."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas as pd

from phasetune.store.manifest import RESOURCES

TEXT = pd.Series(["text"]).dtype
"""As this pandas keeps text: `str` from its third version on, `object` before."""

NUMBER = "float64"
WHOLE = "int64"
WHOLE_OR_NONE = "Int64"
SWITCH = "bool"
SWITCH_OR_NONE = "boolean"

Columns: TypeAlias = Mapping[str, Any]

TRIALS: Columns = {
    "study": TEXT,
    "phase": TEXT,
    "trial": TEXT,
    "status": TEXT,
    "standing": TEXT,
    "feasible": SWITCH_OR_NONE,
    "is_winner": SWITCH,
    "candidate": SWITCH,
    "baseline": SWITCH,
    "reason": TEXT,
    "note": TEXT,
    "replicates": WHOLE,
    "replicates_done": WHOLE,
    "reused": SWITCH,
    "seconds": NUMBER,
    "device": TEXT,
    "path": TEXT,
}
RUNS: Columns = {
    "study": TEXT,
    "phase": TEXT,
    "trial": TEXT,
    "replicate": WHOLE,
    "seed_index": WHOLE,
    "fold": WHOLE_OR_NONE,
    "stage": TEXT,
    "key": TEXT,
    "seed": WHOLE,
    "status": TEXT,
    "failure": TEXT,
    "reused": SWITCH,
    "seconds": NUMBER,
    "device": TEXT,
    "computed_by": TEXT,
    "started": TEXT,
    **dict.fromkeys(RESOURCES, NUMBER),
    "is_exact": SWITCH_OR_NONE,
    "notes": TEXT,
    "path": TEXT,
}
HISTORY: Columns = {
    "study": TEXT,
    "phase": TEXT,
    "trial": TEXT,
    "stage": TEXT,
    "key": TEXT,
    "step": WHOLE,
}
CHECKPOINTS: Columns = {
    "studies": TEXT,
    "stage": TEXT,
    "run": TEXT,
    "key": TEXT,
    "kind": TEXT,
    "epoch": WHOLE_OR_NONE,
    "size_bytes": WHOLE,
    "why": TEXT,
    "path": TEXT,
}
