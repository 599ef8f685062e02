"""Tune's own view of a phase, for those who know it."""

from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.paths import ResultsPaths


def experiment_analysis(
    results: Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """The `ExperimentAnalysis` of a phase's newest attempt through Ray, or of a numbered one.

    An attempt is one wave: a phase that pre-trains and fine-tunes has two. Reading it trusts the
    folder, since Tune keeps pickled objects there.

    Raises:
        StoreError: the phase has no such attempt.
    """
    from ray.tune import ExperimentAnalysis

    root = ResultsPaths(results)
    studies = [paths for paths in root.studies() if study in (None, paths.root.name)]
    pattern = "*" if attempt is None else f"{attempt:04d}"
    states = [
        path
        for paths in studies
        for path in paths.phase(phase).attempts.glob(f"{pattern}/experiment_state-*.json")
    ]
    if not states:
        raise StoreError(
            f"{results}: the phase {phase!r} has no attempt through Ray; runs that were shared or "
            "executed in-process leave none"
        )
    newest = max(states, key=lambda path: path.stat().st_mtime_ns)
    return ExperimentAnalysis(str(newest.parent.resolve()))
