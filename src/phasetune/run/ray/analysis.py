"""Tune's own view of a phase, for those who know it."""

from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.run.ray.storage import tune_storage
from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.mirror import mirror_of
from phasetune.store.trust import refuse_untrusted


def experiment_analysis(
    results: Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """The `ExperimentAnalysis` of a phase's newest attempt through Ray, or of a numbered one.

    An attempt is one wave: a phase that pre-trains and fine-tunes has two. Tune keeps pickled
    objects there, and unpickling runs code, so the folder has to be this user's own. Who can write
    to a bucket can't be seen from here: there its owner answers for it.

    Raises:
        StoreError: the phase has no such attempt, or others can write in it.
    """
    root = ResultsPaths(results)
    studies = [paths for paths in root.studies() if study in (None, paths.root.name)]
    pattern = "[0-9]*" if attempt is None else f"{attempt:04d}"
    states = [
        path
        for paths in studies
        for path in _states(paths.phase(phase).attempts, f"{pattern}/experiment_state-*.json")
    ]
    if not states:
        raise StoreError(
            f"{root.shown}: the phase {phase!r} has no attempt through Ray; runs that were shared "
            "or executed in-process leave none"
        )
    newest = max(states, key=lambda path: (path.name, path.parent.name))  # named by their time
    if root.uri is None:
        refuse_untrusted(newest.parent, root=results)
    from ray.tune import ExperimentAnalysis

    storage = tune_storage(newest.parent)
    return ExperimentAnalysis(storage.path, storage_filesystem=storage.file_system)


def _states(attempts: Path, pattern: str) -> list[Path]:
    """Tune's states of attempts: those there are at the URI, where the results lie at one."""
    mirror = mirror_of(attempts)
    if mirror is None:
        return list(attempts.glob(pattern))
    names = mirror.objects.sizes(mirror.name(attempts))
    return [path for path in (mirror.root / name for name in names) if path.match(pattern)]
