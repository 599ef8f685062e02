"""From artifacts to scores: per trial the final metrics of each replicate, or why there are none.

A trial's metrics are those of its last scored stage under their own names, and those of earlier
stages as `<stage>_<name>`.
"""

from collections.abc import Mapping, Sequence

from phasetune.plan.trial import PhasePlan, Replicate, Trial
from phasetune.run.ledger import Ledger
from phasetune.run.request import RunState
from phasetune.select.scores import TrialScore


def phase_scores(plan: PhasePlan, ledger: Ledger) -> list[TrialScore]:
    """A score for each trial of a phase and for its baseline, in file order."""
    return [
        TrialScore(
            name=trial.name,
            index=index,
            key=trial.key,
            replicates=replicate_metrics(trial, ledger),
            ineligible=why_ineligible(trial, ledger),
            candidate=index < len(plan.trials),
            baseline=plan.baseline is not None and trial.name == plan.baseline.name,
        )
        for index, trial in enumerate(plan.all_trials)
    ]


def replicate_metrics(trial: Trial, ledger: Ledger) -> tuple[Mapping[str, float], ...]:
    """The metrics of each replicate whose runs are done."""
    found = (_metrics(replicate, ledger) for replicate in trial.replicates)
    return tuple(metrics for metrics in found if metrics is not None)


def _metrics(replicate: Replicate, ledger: Ledger) -> dict[str, float] | None:
    artifacts = [ledger.artifact(run) for run in replicate.runs]
    metrics: dict[str, float] = {}
    for run, artifact in zip(replicate.runs, artifacts, strict=True):
        if artifact is None:
            return None
        prefix = "" if run is replicate.scored else f"{run.stage}_"
        metrics |= {f"{prefix}{name}": value for name, value in artifact.metrics.items()}
    return metrics


def why_ineligible(trial: Trial, ledger: Ledger) -> str | None:
    """The first run that is not done, and why."""
    for position, replicate in enumerate(trial.replicates):
        states = ledger.states(replicate.runs)
        for run in replicate.runs:
            if states[run.key] is not RunState.DONE:
                failure = ledger.failure(run)
                why = failure.message if failure else states[run.key].replace("_", " ")
                return f"replicate {position}: {run.stage} {states[run.key]}: {why}"
    return None


def environments(trials: Sequence[Trial], ledger: Ledger) -> list[Mapping[str, object]]:
    """The distinct environment classes that the trials' artifacts were computed in."""
    found: list[Mapping[str, object]] = []
    for run in (run for trial in trials for run in trial.runs):
        artifact = ledger.artifact(run)
        if artifact is not None and artifact.environment not in found:
            found.append(artifact.environment)
    return found
