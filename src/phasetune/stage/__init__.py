"""The seam between phasetune and what it runs: the contract, and how a workload is found."""

from phasetune.stage.contract import (
    LABELLED_PART,
    TEST_PART,
    Fold,
    Milestone,
    Predictor,
    Stage,
    StageContext,
    Trunk,
    Workload,
)

__all__ = [
    "LABELLED_PART",
    "TEST_PART",
    "Fold",
    "Milestone",
    "Predictor",
    "Stage",
    "StageContext",
    "Trunk",
    "Workload",
]
