"""Phased studies on Ray Tune.

The public names, resolved when they are first used: importing phasetune imports nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasetune.api import (
        StudyOutcome,
        analysis,
        checkpoints,
        compare,
        history,
        load_study,
        plan_study,
        restore_tuner,
        run_study,
        run_trial,
        runs,
        stop_study,
        sync,
        trials,
    )
    from phasetune.errors import (
        PhasetuneError,
        PlanError,
        SelectionError,
        StageError,
        StoreError,
        StudyError,
    )
    from phasetune.report.page.write import write_page
    from phasetune.report.training import kfold_report, training_report
    from phasetune.run.doctor.visit import doctor
    from phasetune.stage.contract import (
        Fold,
        Milestone,
        Predictor,
        Stage,
        StageContext,
        Trunk,
        Workload,
    )
    from phasetune.store.digests import file_digest
    from phasetune.study.resources import Resources
    from phasetune.study.schema import (
        Final,
        Numerics,
        Objective,
        Phase,
        Point,
        Replicates,
        Study,
    )
    from phasetune.train.loader import recommended_loader_settings
    from phasetune.train.reproducibility import describe_reproducibility, set_seed

__version__ = "0.1.0"

_HOMES = {
    "phasetune.api": (
        "StudyOutcome",
        "analysis",
        "checkpoints",
        "compare",
        "history",
        "load_study",
        "plan_study",
        "restore_tuner",
        "run_study",
        "run_trial",
        "runs",
        "stop_study",
        "sync",
        "trials",
    ),
    "phasetune.errors": (
        "PhasetuneError",
        "PlanError",
        "SelectionError",
        "StageError",
        "StoreError",
        "StudyError",
    ),
    "phasetune.report.page.write": ("write_page",),
    "phasetune.report.training": ("kfold_report", "training_report"),
    "phasetune.run.doctor.visit": ("doctor",),
    "phasetune.stage.contract": (
        "Fold",
        "Milestone",
        "Predictor",
        "Stage",
        "StageContext",
        "Trunk",
        "Workload",
    ),
    "phasetune.store.digests": ("file_digest",),
    "phasetune.study.resources": ("Resources",),
    "phasetune.study.schema": (
        "Final",
        "Numerics",
        "Objective",
        "Phase",
        "Point",
        "Replicates",
        "Study",
    ),
    "phasetune.train.loader": ("recommended_loader_settings",),
    "phasetune.train.reproducibility": ("describe_reproducibility", "set_seed"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Final",
    "Fold",
    "Milestone",
    "Numerics",
    "Objective",
    "Phase",
    "PhasetuneError",
    "PlanError",
    "Point",
    "Predictor",
    "Replicates",
    "Resources",
    "SelectionError",
    "Stage",
    "StageContext",
    "StageError",
    "StoreError",
    "Study",
    "StudyError",
    "StudyOutcome",
    "Trunk",
    "Workload",
    "analysis",
    "checkpoints",
    "compare",
    "describe_reproducibility",
    "doctor",
    "file_digest",
    "history",
    "kfold_report",
    "load_study",
    "plan_study",
    "recommended_loader_settings",
    "restore_tuner",
    "run_study",
    "run_trial",
    "runs",
    "set_seed",
    "stop_study",
    "sync",
    "training_report",
    "trials",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'phasetune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
