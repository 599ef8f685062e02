"""The same power in Python: load, plan and run a study; read what came of it.

from phasetune import run_study

outcome = run_study("study.yaml", overrides=["seed=7"])
print(outcome.winner, outcome.phases["method"].trials)
"""

from phasetune.api.ask import Source, load_study, plan_study
from phasetune.api.execute import run_study, run_trial
from phasetune.api.outcome import PhaseOutcome, StudyOutcome
from phasetune.api.read import (
    analysis,
    checkpoints,
    compare,
    history,
    restore_tuner,
    runs,
    trials,
)
from phasetune.api.stopping import stop_study
from phasetune.api.syncing import Synced, sync

__all__ = [
    "PhaseOutcome",
    "Source",
    "StudyOutcome",
    "Synced",
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
]
