"""Tune's own view of a phase, for those who know it."""

from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.paths import ResultsPaths
from phasetune.store.trust import refuse_untrusted


def experiment_analysis(
    results: Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """The `ExperimentAnalysis` of a phase's newest attempt through Ray, or of a numbered one.

    An attempt is one wave: a phase that pre-trains and fine-tunes has two. Tune keeps pickled
    objects there, and unpickling runs code, so the folder has to be this user's own.

    Raises:
        StoreError: the phase has no such attempt, or others can write in it.
    """
    root = ResultsPaths(results)
    studies = [paths for paths in root.studies() if study in (None, paths.root.name)]
    pattern = "[0-9]*" if attempt is None else f"{attempt:04d}"
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
    refuse_untrusted(newest.parent, root=results)
    from ray.tune import ExperimentAnalysis

    return ExperimentAnalysis(str(newest.parent))
