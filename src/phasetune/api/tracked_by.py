"""Which trackers a study is told to: what it says itself, else the environment, else MLflow."""

import os
from collections.abc import Mapping, Sequence

from phasetune.errors import StudyError
from phasetune.study.schema import Study
from phasetune.study.trackers import TrackerName, named_trackers

VARIABLE = "PHASETUNE_TRACKING"
_DEFAULT = "mlflow"


def tracked_by(study: Study) -> Mapping[TrackerName, str | None]:
    """Trackers by name, each with where it writes; None for its usual place.

    Raises:
        StudyError: the environment variable names something else.
    """
    if study.tracking is not None:
        return study.tracking
    said = [word.strip() for word in os.environ.get(VARIABLE, "").split(",")]
    return tracking_of_words([word for word in said if word] or [_DEFAULT], VARIABLE)


def tracking_of_words(words: Sequence[str], where: str) -> Mapping[TrackerName, str | None]:
    """Trackers as a command line names them: `none`, or `NAME` or `NAME=PLACE` each.

    Raises:
        StudyError: one of them is no tracker; the message begins with `where`.
    """
    places = {name: place or None for name, _, place in (word.partition("=") for word in words)}
    try:
        found: Mapping[TrackerName, str | None]
        found = named_trackers(["none"] if list(places) == ["none"] else places)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from error
    return found
