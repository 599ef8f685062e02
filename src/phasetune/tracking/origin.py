"""Which results a record is of, in stores that are told of several: a name that travels with them.

Two results roots may hold studies of one name, and a path or host says nothing once results are
moved or a container is another one.
"""

import uuid

from phasetune.store.durable import write_text
from phasetune.store.paths import StudyPaths


def study_origin(study: StudyPaths) -> str:
    """32 hexadecimal digits, the same for as long as the study's folder `tracking` is kept.

    Raises:
        StoreError: they are not there yet and can't be written.
    """
    path = study.tracking / "origin"
    try:
        return uuid.UUID(path.read_text().strip()).hex
    except (OSError, ValueError):
        origin = uuid.uuid4().hex
        write_text(path, origin + "\n")
        return origin
