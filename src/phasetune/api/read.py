"""Read what studies left, as DataFrames or as Tune shows it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasetune.store.paths import results_at

if TYPE_CHECKING:
    import pandas as pd


def trials(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per trial of each decided phase of the studies below a results root.

    Status, standing, parameters, margins, times, and per metric mean and standard error.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import trials_frame

    return trials_frame(results_at(results).root, study)


def runs(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per run of each trial's replicate: status, seconds, device, path, metrics.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import runs_frame

    return runs_frame(results_at(results).root, study)


def history(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per distinct run and reported step, the last report of each step.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import history_frame

    return history_frame(results_at(results).root, study)


def checkpoints(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per checkpoint on disk: run, kind, epoch, size in bytes, why it is kept, metrics.

    Raises:
        StoreError: there is no such study, or what it refers to can't be read.
    """
    from phasetune.report.checkpoints import checkpoints_frame

    return checkpoints_frame(results_at(results).root, study)


def compare(
    results: str | Path,
    *more: str | Path,
    study: str | None = None,
    sort_by: str | None = None,
    filters: str | Sequence[str] = (),
) -> "pd.DataFrame":
    """The trials of studies side by side: the parameters that differ, metrics, standing.

    The best by the objective is first. `sort_by` names another column, the least of it first, or
    with a `-` before it the greatest. `filters` are conditions such as `class_1_accuracy >= 0.3` or
    `phase == architecture` that all hold for the trials shown.

    Raises:
        StoreError: there is no such study, or no such column.
        StudyError: a filter can't be read, or the studies have different objectives and `sort_by`
            is not given.
    """
    from phasetune.report.compare import compared

    sentences = [filters] if isinstance(filters, str) else filters
    return compared([results, *more], study=study, sort_by=sort_by, filters=sentences).table


def analysis(
    results: str | Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """Tune's own `ExperimentAnalysis` of a phase's newest attempt, or of a numbered one.

    Tune reads pickles there, so nobody but this user may be able to write them: of a folder that is
    looked at, of a bucket it has to be known.

    Raises:
        StoreError: the phase has no such attempt through Ray, or others can write in its folder.
    """
    from phasetune.run.ray.analysis import experiment_analysis

    return experiment_analysis(results_at(results).root, phase, study=study, attempt=attempt)


def restore_tuner(
    results: str | Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """A restored `ray.tune.Tuner` on a phase's newest unfinished attempt, or on a numbered one.

    Its `fit()` executes the runs of that attempt that have no end in the store, from their newest
    checkpoints; the store takes the results, and `run_study` decides. Before, it is verified that
    the folder is this user's own and that nobody else can write it (restoring unpickles what lies
    there, which runs code), that Tune's state is whole, that number and settings of its trials are
    the plan's, and that the checkpoints it knows of are as they were sealed. It works on a copy in
    a new attempt's folder. Don't run the study before `fit()` returned.

    Raises:
        StoreError: there is no such attempt, a check failed (the message says which, and for which
            file), another driver works on the study, or the results lie at a URI.
        PhasetuneError: the study as it was kept can't be loaded or planned.
    """
    from phasetune.run.ray.restore import restored_tuner

    return restored_tuner(results_at(results).root, phase, study=study, attempt=attempt)
