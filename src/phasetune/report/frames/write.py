"""A phase's trials and history as Parquet, beside its decision."""

from pathlib import Path

from phasetune.report.frames.decided import decided_phase
from phasetune.report.frames.history import phase_history
from phasetune.report.frames.kept import keep_table
from phasetune.report.frames.trials import phase_trials
from phasetune.store.paths import StudyPaths


def write_phase_frames(results: Path, study: StudyPaths, phase: str) -> None:
    """Write the tables of a decided phase, durably.

    Raises:
        StoreError: its documents are damaged, or the tables can't be written.
    """
    paths = study.phase(phase)
    decided = decided_phase(study, paths)
    if decided is not None:
        keep_table(phase_trials(results, decided), paths, paths.trials)
        keep_table(phase_history(results, decided), paths, paths.history)
