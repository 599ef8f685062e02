"""What a run is called for people: its stage and what differs from its siblings."""

from collections.abc import Collection, Iterable, Mapping

from phasetune.plan.trial import Run, Trial
from phasetune.stage.canonical import Json


def run_points(trials: Iterable[Trial]) -> dict[str, dict[str, Json]]:
    """Per run key, the parameters of its own and earlier stages that its trial's point sets."""
    points: dict[str, dict[str, Json]] = {}
    for trial in trials:
        for replicate in trial.replicates:
            point: dict[str, Json] = {}
            for run in replicate.runs:
                own = {k: v for k, v in trial.point.items() if k.startswith(f"{run.stage}.")}
                point = {**point, **own}
                points.setdefault(run.key, point)
    return points


def run_settings(trials: Iterable[Trial]) -> dict[str, dict[str, Json]]:
    """Per run key, the parameters of its own and earlier stages, but how many steps they have."""
    settings: dict[str, dict[str, Json]] = {}
    for trial in trials:
        for replicate in trial.replicates:
            until: dict[str, Json] = {}
            for run in replicate.runs:
                steps = "" if run.milestone is None else f"{run.stage}.{run.milestone.horizon}"
                until = until | {k: v for k, v in run.params.items() if k != steps}
                settings.setdefault(run.key, until)
    return settings


def run_label(run: Run, point: Mapping[str, Json], seed_index: int) -> str:
    """Such as `finetune hidden_size=64 fold 2/5 seed 1`."""
    named = [f"{name.rpartition('.')[2]}={value}" for name, value in point.items()]
    fold = [] if run.fold is None else [f"fold {run.fold.index + 1}/{run.fold.of}"]
    seed = [] if seed_index == 0 else [f"seed {seed_index}"]
    return " ".join([run.stage, *named, *fold, *seed])


def run_labels(trials: Collection[Trial]) -> dict[str, str]:
    """What each run is called; a shared one by the first trial that asks for it."""
    points = run_points(trials)
    labels: dict[str, str] = {}
    for replicate in (replicate for trial in trials for replicate in trial.replicates):
        for run in replicate.runs:
            labels.setdefault(run.key, run_label(run, points[run.key], replicate.seed_index))
    return labels
