"""The report of a run of a study: of one, or of a trial's runs over all folds and seeds.

It follows from what the store holds, so the same run has the same report, byte for byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.training.folder import FILES, fill_folder, fill_trial_folder
from phasetune.report.training.named import named_runs
from phasetune.report.training.recorded import RecordedRun, RunEnd, recorded_runs, settings_of
from phasetune.report.training.wording import plain_settings
from phasetune.store.durable import replacing, withdraw
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.references import Reference
from phasetune.study.wording import listed


def write_run_report(
    results: ResultsPaths, study: StudyPaths, name: str, out: Path | None = None
) -> Path:
    """Write the training report of a run that a name means, as people call it.

    Of a trial it is its last stage that trained; with several folds or seeds there is a folder for
    each, and the table per fold above them. The folder is made anew each time.

    Returns:
        The folder, below `reports` of the study or below `out`.

    Raises:
        StoreError: the name means no run or several, what it left is damaged, or the folder holds
            what is no part of a report, or can't be written.
    """
    runs = _of_last_stage(recorded_runs(results, study, named_runs(study, name)))
    parent = study.training_reports if out is None else out.absolute()
    folder = parent / _folder_name(runs)
    with _made_anew(folder) as draft:
        if len(runs) == 1:
            _fill(draft, study, runs[0])
        else:
            _fill_with_replicates(draft, study, runs)
    return folder


def _of_last_stage(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Of runs of several stages those of the last one that has anything to report."""
    stages = list(dict.fromkeys(run.reference.stage for run in runs))
    telling = [run.reference.stage for run in runs if run.has_news]
    last = max(telling, key=stages.index, default=stages[-1])
    return [run for run in runs if run.reference.stage == last]


def replicate_labels(references: Sequence[Reference]) -> list[str]:
    """What tells a trial's replicates apart: `Fold 2`, `Seed 1`, or `Fold 2, seed 1`."""
    seeds = [f"seed {one.seed_index}" for one in references]
    if len({one.fold for one in references}) == 1:
        return [seed.capitalize() for seed in seeds]
    folds = [f"Fold {one.fold + 1}" for one in references if one.fold is not None]
    if len(set(seeds)) == 1:
        return folds
    return [f"{fold}, {seed}" for fold, seed in zip(folds, seeds, strict=True)]


def _folder_name(runs: Sequence[RecordedRun]) -> str:
    first = runs[0].reference
    return _safe(first.label if len(runs) == 1 else f"{first.stage} {first.trial}")


def _safe(label: str) -> str:
    """`Fold 2, seed 1` is `Fold_2_seed_1`; names of trials have neither spaces nor commas."""
    return label.replace(",", "").replace(" ", "_")


def _fill(folder: Path, study: StudyPaths, run: RecordedRun) -> None:
    one, settings = run.reference, plain_settings(settings_of(study, run.reference))
    fill_folder(
        folder,
        run.curves,
        about=_about(run),
        identity={
            **_identity(one, settings),
            "fold": one.fold,
            "seed_index": one.seed_index,
            "key": one.key,
            "state": run.end,
            "failure": None if run.failure is None else run.failure.message,
        },
        settings=_own(settings, one.stage),
        scores={} if run.artifact is None else run.artifact.metrics,
    )


def _fill_with_replicates(folder: Path, study: StudyPaths, runs: Sequence[RecordedRun]) -> None:
    first = runs[0].reference
    by_label = dict(zip(replicate_labels([run.reference for run in runs]), runs, strict=True))
    for label, run in by_label.items():
        _fill(folder / _safe(label.lower()), study, run)
    settings = plain_settings(settings_of(study, first))
    fill_trial_folder(
        folder,
        {label: run.curves for label, run in by_label.items()},
        about=_about_trial(by_label),
        identity=_identity(first, settings),
        settings=_own(settings, first.stage),
    )


def _identity(one: Reference, settings: Mapping[str, Any]) -> dict[str, Any]:
    about = {"study": one.study, "phase": one.phase, "trial": one.trial, "stage": one.stage}
    return {**about, "parameters": dict(settings)}


def _own(settings: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """The settings of the stage itself; those of the ones before would hide them in a text."""
    return {name: value for name, value in settings.items() if name.partition(".")[0] == stage}


def _about(run: RecordedRun) -> dict[str, str]:
    one = run.reference
    said = {
        "Study": one.study,
        "Run": one.label,
        "Phase": one.phase,
        "Key": one.key,
        "State": _state_text(run),
    }
    if run.failure is not None:
        said["Traceback"] = f"store/failed-runs/{one.stage}/{one.key}.traceback.txt"
    if run.artifact is not None:
        started = run.artifact.manifest["provenance"].get("started", "unknown")
        device = run.artifact.environment.get("device", "unknown device")
        said["Trained"] = f"{started}, {run.artifact.duration_seconds:.1f} s on {device}"
    return said


def _state_text(run: RecordedRun) -> str:
    if run.failure is not None:
        return f"{run.end}: {run.failure.message}"
    if run.end is RunEnd.UNFINISHED:
        return f"{run.end}, this is what it reported so far"
    return str(run.end)


def _about_trial(runs: Mapping[str, RecordedRun]) -> dict[str, str]:
    first = next(iter(runs.values())).reference
    undone = {label: run for label, run in runs.items() if run.end is not RunEnd.DONE}
    done = f"{len(runs) - len(undone)} of {len(runs)} done"
    return {
        "Study": first.study,
        "Trial": first.trial,
        "Stage": first.stage,
        "Phase": first.phase,
        "State": "; ".join(
            [done, *(f"{label} {_state_text(run)}" for label, run in undone.items())]
        ),
    }


@contextmanager
def _made_anew(folder: Path) -> Iterator[Path]:
    """A draft of a folder that replaces what an earlier report left there, and nothing else."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} must be a folder, but is a file; move it away")
    foreign = sorted(path.name for path in _foreign(folder))
    if foreign:
        raise StoreError(
            f"{folder} holds what is no part of a training report: {listed(foreign)}; move it "
            "away, or name another folder"
        )
    with replacing(folder) as draft:
        draft.mkdir(mode=0o700)
        yield draft
        withdraw(folder)


def _foreign(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name.startswith(("fold_", "seed_")):
            yield from _foreign(path)
        elif path.name not in FILES:
            yield path
