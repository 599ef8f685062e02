"""From artifacts to scores: per trial the metrics of each replicate, or why there are none."""

from collections.abc import Mapping, Sequence

from phasetune.plan.trial import PhasePlan, Replicate, Trial
from phasetune.run.ledger import Ledger
from phasetune.run.request import RunState
from phasetune.select.scores import TrialScore, chain_metrics


def phase_scores(plan: PhasePlan, ledger: Ledger) -> list[TrialScore]:
    """A score for each trial of a phase and for its baseline, in file order."""
    return [trial_score(plan, i, trial, ledger) for i, trial in enumerate(plan.all_trials)]


def trial_score(plan: PhasePlan, index: int, trial: Trial, ledger: Ledger) -> TrialScore:
    """The score of one trial of a phase, at its place in the file."""
    return TrialScore(
        name=trial.name,
        index=index,
        key=trial.key,
        replicates=replicate_metrics(trial, ledger),
        ineligible=why_ineligible(trial, ledger),
        candidate=index < len(plan.trials),
        baseline=plan.baseline is not None and trial.name == plan.baseline.name,
    )


def replicate_metrics(trial: Trial, ledger: Ledger) -> tuple[Mapping[str, float], ...]:
    """The metrics of each replicate whose runs are done."""
    found = (_metrics(replicate, ledger) for replicate in trial.replicates)
    return tuple(metrics for metrics in found if metrics is not None)


def _metrics(replicate: Replicate, ledger: Ledger) -> dict[str, float] | None:
    artifacts = [(run.stage, ledger.artifact(run)) for run in replicate.runs]
    found = [(stage, artifact.metrics) for stage, artifact in artifacts if artifact is not None]
    return chain_metrics(found) if len(found) == len(artifacts) else None


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
    """The distinct environment classes that the trials' artifacts were computed in.

    Runs that use no GPU beside others that do are of no other class because of that alone.
    """
    found: list[Mapping[str, object]] = []
    runs = [run for trial in trials for run in trial.runs]
    for run in sorted(runs, key=lambda run: not run.uses_gpu):
        artifact = ledger.artifact(run)
        if artifact is None or artifact.environment in found:
            continue
        if run.uses_gpu or not any(_differ_in_device(artifact.environment, e) for e in found):
            found.append(artifact.environment)
    return found


def _differ_in_device(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two classes are equal but for the device and the precision that follows from it."""
    of_device = ("device", "precision")
    return all(one.get(name) == other.get(name) for name in {*one, *other}.difference(of_device))


def inexact_runs(trials: Sequence[Trial], ledger: Ledger) -> list[str]:
    """The trials' runs whose bits depend on more than their keys, each with what was noted."""
    found: dict[str, None] = {}
    for trial in trials:
        for run in trial.runs_alone:
            artifact = ledger.artifact(run)
            if artifact is not None and not artifact.is_exact:
                found[f"{run.stage} of {trial.name}: {'; '.join(artifact.notes)}"] = None
    return list(found)
