"""What lies below a results root and no study refers to, and its removal.

Nothing is guessed: a study that can't be read is an error, and only what has the name of something
of ours is looked at. Deleting is a rename first, so that nothing half deleted has a name that
counts; what a killed removal left is garbage itself, and the next one finishes.

Only for whoever holds the lock alone (`lock.exclusively`): a draft is garbage where nobody works.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.artifacts import CHECKPOINTS, SET_ASIDE, ArtifactStore
from phasetune.store.durable import DRAFT_PREFIX, TRASH_PREFIX, remove
from phasetune.store.failures import FAILED_RUNS
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.references import Reference, all_references
from phasetune.store.remote.mirror import folders_like
from phasetune.store.resume import DoneRuns, resume_checkpoints
from phasetune.store.space import size_bytes

_KEY = re.compile(r"[0-9a-f]{32}(-\d{6,})?")
_LEFT = (f"{DRAFT_PREFIX}*", f"{TRASH_PREFIX}*")
_NOBODY = "no study refers to it"


class GarbageKind(StrEnum):
    """What garbage was."""

    ARTIFACT = "artifact"
    TRUNK = "trunk"
    DRAFT = "draft"
    TRASH = "trash"
    SET_ASIDE = "set aside"
    FAILURE = "failure"
    RESUME = "resume"


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """A file or folder that can go, and why in a few words."""

    path: Path
    kind: GarbageKind
    size_bytes: int
    why: str


def garbage(paths: ResultsPaths) -> list[Garbage]:
    """What no study below a results root refers to, by path.

    Raises:
        StoreError: a study or a plan can't be read, so what it refers to is not known.
    """
    references = all_references(paths)
    found = [
        *_unreferenced(paths, references),
        *_set_aside(paths),
        *_failures(paths, references),
        *(row for study in paths.studies() for row in _resume(paths, study, references)),
        *_left_over(paths),
    ]
    places = {entry.path for entry in found}
    outermost = (entry for entry in found if places.isdisjoint(entry.path.parents))
    return sorted(outermost, key=lambda entry: entry.path)


def collect(found: Iterable[Garbage]) -> int:
    """Delete garbage; returns how many bytes that were. What is gone already is passed over.

    Raises:
        StoreError: something can't be deleted; what came before it is.
    """
    freed = 0
    for entry in found:
        with suppress(FileNotFoundError):
            _remove(entry.path)
            freed += entry.size_bytes
    return freed


def _remove(path: Path) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{path} can't be deleted: {error.strerror or error}") from error


def _entry(path: Path, kind: GarbageKind, why: str) -> Garbage:
    return Garbage(path=path, kind=kind, size_bytes=size_bytes(path), why=why)


def _unreferenced(paths: ResultsPaths, references: Iterable[Reference]) -> Iterator[Garbage]:
    needed = referenced_folders(paths, references)
    for path in folders_like(paths.store, "*/*"):
        if path not in needed and _KEY.fullmatch(path.name):
            is_trunk = "-" in path.name
            yield _entry(path, GarbageKind.TRUNK if is_trunk else GarbageKind.ARTIFACT, _NOBODY)


def referenced_folders(paths: ResultsPaths, references: Iterable[Reference]) -> set[Path]:
    """The folders of the runs and trunks that are referred to."""
    store = ArtifactStore(paths.store)
    keys = {(found.stage, key) for found in references for key in (found.key, found.trunk_key)}
    return {store.folder(stage, key) for stage, key in keys if key is not None}


def _set_aside(paths: ResultsPaths) -> Iterator[Garbage]:
    """Artifacts that were damaged or of another environment class: they are computed again."""
    for path in folders_like(paths.store / SET_ASIDE, "*/[!.]*"):
        reason = path.name.rsplit("-", 2)[-2:-1]
        yield _entry(path, GarbageKind.SET_ASIDE, f"set aside: {''.join(reason) or 'unknown'}")


def _failures(paths: ResultsPaths, references: Iterable[Reference]) -> Iterator[Garbage]:
    needed = {(folder.parent.name, folder.name) for folder in referenced_folders(paths, references)}
    for path in (paths.store / FAILED_RUNS).glob("*/[!.]*"):
        key = path.name.partition(".")[0]
        if _KEY.fullmatch(key) and (path.parent.name, key) not in needed:
            yield _entry(path, GarbageKind.FAILURE, _NOBODY)


def _resume(
    paths: ResultsPaths, study: StudyPaths, references: Iterable[Reference]
) -> Iterator[Garbage]:
    """Resume checkpoints that nothing goes on from: the run is done or no more, or it is torn.

    Those of a failed run stay, since it may be tried again.
    """
    own = [found for found in references if found.study == study.root.name]
    done = DoneRuns(ArtifactStore(paths.store), own)
    known = {(found.stage, key) for found in own for key in (found.key, found.trunk)}
    for checkpoint in resume_checkpoints(study):
        if checkpoint.key is None:
            why = "torn: it has no seal"
        elif (checkpoint.stage, checkpoint.key) not in known:
            why = "of a run that the study does not refer to"
        elif done.has(checkpoint):
            why = "of a run that is done"
        else:
            continue
        yield Garbage(
            path=checkpoint.path,
            kind=GarbageKind.RESUME,
            size_bytes=checkpoint.size_bytes,
            why=why,
        )


def _left_over(paths: ResultsPaths) -> Iterator[Garbage]:
    """Drafts of writers, and trash of removals, that were killed."""
    for folder in _folders_with_drafts(paths):
        for path in (path for pattern in _LEFT for path in folder.glob(pattern)):
            is_draft = path.name.startswith(DRAFT_PREFIX)
            why = "was being written" if is_draft else "was being deleted"
            yield _entry(path, GarbageKind.DRAFT if is_draft else GarbageKind.TRASH, why)


def _folders_with_drafts(paths: ResultsPaths) -> Iterator[Path]:
    store = paths.store
    yield from (store, *store.glob("[!.]*/"), *store.glob(f"{FAILED_RUNS}/[!.]*/"))
    yield from (*store.glob(f"{SET_ASIDE}/[!.]*/"), *store.glob(f"*/[!.]*/{CHECKPOINTS}/"))
    for study in paths.studies():
        root = study.root
        yield from (root, *root.glob("phases/*/"), *root.glob("trials/*/"))
        yield from root.glob("phases/*/attempts/*/*/")
