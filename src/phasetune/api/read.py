"""Read what studies left, as DataFrames or as Tune shows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def trials(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per trial and phase of the studies below a results root.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import trials_frame

    return trials_frame(Path(results).resolve(), study)


def runs(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per run of each trial's replicate: state, duration, device, path, metrics.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import runs_frame

    return runs_frame(Path(results).resolve(), study)


def history(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per distinct run and reported step.

    Raises:
        StoreError: there is no such study.
    """
    from phasetune.report.frames import history_frame

    return history_frame(Path(results).resolve(), study)


def checkpoints(results: str | Path, study: str | None = None) -> "pd.DataFrame":
    """One row per checkpoint on disk: run, kind, epoch, size in bytes, why it is kept, metrics.

    Raises:
        StoreError: there is no such study, or what it refers to can't be read.
    """
    from phasetune.report.checkpoints import checkpoints_frame

    return checkpoints_frame(Path(results).resolve(), study)


def analysis(
    results: str | Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """Tune's own `ExperimentAnalysis` of a phase's newest attempt, or of a numbered one.

    Raises:
        StoreError: the phase has no such attempt through Ray.
    """
    from phasetune.run.ray.analysis import experiment_analysis

    return experiment_analysis(Path(results).resolve(), phase, study=study, attempt=attempt)
