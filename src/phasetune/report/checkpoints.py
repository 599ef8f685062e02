"""A tidy DataFrame of what is kept on disk to go on from, or to go back to."""

from pathlib import Path

import pandas as pd

from phasetune.report.frames.columns import CHECKPOINTS
from phasetune.report.frames.table import Row, frame_of
from phasetune.store.inventory import checkpoint_record, checkpoints
from phasetune.store.paths import results_at


def checkpoints_frame(results: Path, study: str | None = None) -> pd.DataFrame:
    """One row per checkpoint: studies, run, kind, epoch, size in bytes, why it is kept, metrics."""
    rows = []
    for found in checkpoints(results_at(results), study):
        record = checkpoint_record(found)
        texts = {"studies": ", ".join(found.studies), "why": ", ".join(found.why)}
        rows.append(Row(about={**record, **texts}, metrics=found.metrics))
    return frame_of(rows, CHECKPOINTS)
