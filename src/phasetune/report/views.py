"""The files that a study leaves for people, and whether each is still what was written.

They follow from decisions and store, so one that is missing or damaged is made again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.results import files_of_trial
from phasetune.store.digests import file_digest
from phasetune.store.documents import read_document, write_document
from phasetune.store.paths import StudyPaths


def remember_views(study: StudyPaths, report: dict[str, Any]) -> None:
    """Keep a digest of each view, as it was just written."""
    write_document(study.views, _digests(study, _views(study, report)))


def are_views_whole(study: StudyPaths, report: dict[str, Any]) -> bool:
    """Whether every view of this report is there, and none was damaged."""
    try:
        kept = read_document(study.views)
        return kept is not None and kept == _digests(study, _views(study, report))
    except (StoreError, OSError):
        return False


def _views(study: StudyPaths, report: dict[str, Any]) -> Iterable[Path]:
    yield study.analysis
    if report["final_recommendation"]:
        yield study.best
    for record in report["phases"]:
        phase = study.phase(record["phase"])
        yield from (phase.trials, phase.history)
        for trial in record["trials"]:
            yield from files_of_trial(study, trial["name"])


def _digests(study: StudyPaths, views: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(study.root).as_posix(): file_digest(path) for path in views}
