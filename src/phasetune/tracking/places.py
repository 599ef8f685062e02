"""Places on this machine as a study file or a command names them."""

from pathlib import Path

from phasetune.errors import StudyError
from phasetune.store.masking import masked
from phasetune.store.paths import ResultsPaths, StudyPaths


def place_from_results(target: str | None, study: StudyPaths, *, tracker: str) -> Path | None:
    """A file or folder, which counts from the results, so that it is the same one from wherever a
    command is typed; None where none is named.

    Raises:
        StudyError: it is none.
    """
    if target is None:
        return None
    if "://" in target or "\0" in target:
        raise StudyError(
            f"tracking.{tracker} must be a path on this machine, but is {masked(target)!r}; "
            f"write such as {{{tracker}: told/here}}, which counts from the results"
        )
    results = ResultsPaths(study.root.parent)
    return (results_folder(results, target, tracker=tracker) / target).resolve()


def results_folder(results: ResultsPaths, target: str, *, tracker: str) -> Path:
    """The folder that a place counts from.

    Raises:
        StudyError: it would have to lie at a URI, where trackers can't write.
    """
    if results.uri is not None and not Path(target).is_absolute():
        raise StudyError(
            f"tracking.{tracker} must be a path from the root, since the results are at "
            f"{results.uri}, but is {masked(target)!r}; or leave it out, for a usual place on this "
            "machine"
        )
    return results.root
