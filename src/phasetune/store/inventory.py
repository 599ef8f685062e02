"""Every checkpoint below a results root: of which run, how large, and why it is kept.

Four kinds: resume checkpoints of attempts, checkpoints that a run kept beside its artifact, trunks
that runs of several horizons have in common, and the runs of final models.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.artifacts import CHECKPOINTS, ArtifactStore
from phasetune.store.documents import read_document
from phasetune.store.kept import META, kept_checkpoints
from phasetune.store.paths import ResultsPaths, StudyPaths, shown_path
from phasetune.store.references import Reference, all_references
from phasetune.store.resume import DoneRuns, ResumeCheckpoint, newest_of_each, resume_checkpoints
from phasetune.store.space import size_bytes
from phasetune.study.schema import FINAL


class CheckpointKind(StrEnum):
    """What a checkpoint is there for."""

    RESUME = "resume"
    KEPT = "kept"
    TRUNK = "trunk"
    MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """A checkpoint. `run` is what people call its run, `why` the reasons for which it is there.

    `is_winning`: of a winner's chain of runs. `is_needed`: a run that is not done goes on from it.
    `is_done`: a resume checkpoint of a run that is done.
    """

    path: Path
    kind: CheckpointKind
    studies: tuple[str, ...]
    stage: str
    key: str
    run: str
    epoch: int | None
    metrics: Mapping[str, float]
    size_bytes: int
    why: tuple[str, ...]
    is_winning: bool = False
    is_needed: bool = False
    is_done: bool = False


def checkpoint_record(row: CheckpointRow) -> dict[str, Any]:
    """A row as plain values."""
    return {
        "studies": list(row.studies),
        "stage": row.stage,
        "run": row.run,
        "key": row.key,
        "kind": str(row.kind),
        "epoch": row.epoch,
        "metrics": dict(row.metrics),
        "size_bytes": row.size_bytes,
        "why": list(row.why),
        "path": shown_path(row.path),
    }


def checkpoints(paths: ResultsPaths, study: str | None = None) -> list[CheckpointRow]:
    """The checkpoints that a study below a results root refers to, or all of them do.

    Raises:
        StoreError: it is no results root, there is no such study, or one can't be read.
    """
    known = {entry.root.name: entry for entry in paths.studies()}
    if not known or study not in (None, *known):
        what = "no study" if study is None or not known else f"no study {study!r}"
        there = f"; it holds: {', '.join(known)}" if known else ""
        raise StoreError(f"{paths.shown} holds {what}{there}")
    references = all_references(paths)
    if study is None:
        return study_checkpoints(paths, list(known.values()), references)
    own = [found for found in references if found.study == study]
    return study_checkpoints(paths, [known[study]], own)


def study_checkpoints(
    paths: ResultsPaths, studies: Sequence[StudyPaths], references: Sequence[Reference]
) -> list[CheckpointRow]:
    """The checkpoints of these studies, which refer to these runs."""
    store, by_key, by_trunk = ArtifactStore(paths.store), _by_key(references), _by_trunk(references)
    goals = _unfinished_goals(store, references)
    return [
        *(row for study in studies for row in _resume(study, store, references)),
        *(row for uses in by_key.values() for row in _kept(store, uses)),
        *(row for key, uses in by_trunk.items() for row in _trunk(store, key[1], uses, goals)),
        *(row for uses in by_key.values() for row in _model(store, uses)),
    ]


_Uses = dict[tuple[str, str], list[Reference]]


def _by_key(references: Iterable[Reference]) -> _Uses:
    found: _Uses = {}
    for reference in references:
        found.setdefault((reference.stage, reference.key), []).append(reference)
    return found


def _by_trunk(references: Iterable[Reference]) -> _Uses:
    found: _Uses = {}
    for reference in references:
        if reference.trunk_key is not None:
            found.setdefault((reference.stage, reference.trunk_key), []).append(reference)
    return found


def _unfinished_goals(
    store: ArtifactStore, references: Iterable[Reference]
) -> dict[tuple[str, str], int]:
    """Per trunk the furthest step at which a run branches off that is not done."""
    found: dict[tuple[str, str], int] = {}
    for used in references:
        if used.trunk is not None and not store.has(used.stage, used.key):
            trunk = (used.stage, used.trunk)
            found[trunk] = max(found.get(trunk, 0), used.trunk_step or 0)
    return found


def _label(uses: Sequence[Reference]) -> str:
    """The first trial's name for a run, and how many more trials have it."""
    trials = {(used.study, used.trial) for used in uses}
    more = len(trials) - 1
    return uses[0].label + (f" +{more}" if more else "")


def _resume(
    study: StudyPaths, store: ArtifactStore, references: Sequence[Reference]
) -> Iterator[CheckpointRow]:
    own = [found for found in references if found.study == study.root.name]
    done, uses = DoneRuns(store, own), _by_key(own)
    for found in own:
        if found.trunk is not None:
            uses.setdefault((found.stage, found.trunk), []).append(found)
    checkpoints_there = resume_checkpoints(study)
    newest = newest_of_each(checkpoints_there)
    for checkpoint in checkpoints_there:
        of = uses.get((checkpoint.stage, checkpoint.key or ""), [])
        is_done = done.has(checkpoint)
        yield CheckpointRow(
            path=checkpoint.path,
            kind=CheckpointKind.RESUME,
            studies=(study.root.name,),
            stage=checkpoint.stage,
            key=checkpoint.key or "",
            run=_label(of) if of else _unnamed(checkpoint),
            epoch=None if checkpoint.key is None else checkpoint.step,
            metrics=checkpoint.metrics,
            size_bytes=checkpoint.size_bytes,
            why=(_why_resume(checkpoint, is_done=is_done, is_newest=checkpoint.path in newest),),
            is_needed=not is_done and (checkpoint.key is None or checkpoint.path in newest),
            is_done=is_done,
        )


def _unnamed(checkpoint: ResumeCheckpoint) -> str:
    return f"{checkpoint.stage} {(checkpoint.key or 'unknown')[:12]}"


def _why_resume(checkpoint: ResumeCheckpoint, *, is_done: bool, is_newest: bool) -> str:
    if checkpoint.key is None:
        return "has no seal (yet)"
    if is_done:
        return "resume of a run that is done"
    if is_newest:
        return "resume of a run that is not done"
    return "older than the newest of its run"


def _stored(
    kind: CheckpointKind,
    uses: Sequence[Reference],
    *,
    path: Path,
    key: str,
    epoch: int | None,
    metrics: Mapping[str, float],
    size: int,
    why: tuple[str, ...],
    is_needed: bool = False,
) -> CheckpointRow:
    """The row of what lies in the store, and these uses refer to."""
    is_winning = any(used.is_winning for used in uses)
    return CheckpointRow(
        path=path,
        kind=kind,
        studies=tuple(sorted({used.study for used in uses})),
        stage=uses[0].stage,
        key=key,
        run=_label(uses),
        epoch=epoch,
        metrics=metrics,
        size_bytes=size,
        why=(*why, "winner") if is_winning and kind is not CheckpointKind.MODEL else why,
        is_winning=is_winning,
        is_needed=is_needed,
    )


def _kept(store: ArtifactStore, uses: Sequence[Reference]) -> Iterator[CheckpointRow]:
    stage, key = uses[0].stage, uses[0].key
    for found in kept_checkpoints(store.folder(stage, key) / CHECKPOINTS):
        yield _stored(
            CheckpointKind.KEPT,
            uses,
            path=found.path,
            key=key,
            epoch=found.epoch,
            metrics=found.metrics,
            size=found.size_bytes,
            why=_kept_as(found.path),
        )


def _kept_as(path: Path) -> tuple[str, ...]:
    """The reasons that the run wrote down when it kept a checkpoint."""
    try:
        reasons = (read_document(path / META) or {}).get("kept_as")
    except StoreError:
        reasons = None
    return tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else ("kept",)


def _trunk(
    store: ArtifactStore,
    key: str,
    uses: Sequence[Reference],
    goals: Mapping[tuple[str, str], int],
) -> Iterator[CheckpointRow]:
    stage, trunk, step = uses[0].stage, uses[0].trunk or "", uses[0].trunk_step or 0
    artifact, runs = store.intact(stage, key), len({used.key for used in uses})
    if artifact is not None:
        yield _stored(
            CheckpointKind.TRUNK,
            uses,
            path=artifact.folder,
            key=key,
            epoch=step,
            metrics=artifact.metrics,
            size=size_bytes(artifact.folder),
            why=(f"trunk of {runs} run" + ("" if runs == 1 else "s"),),
            is_needed=step <= goals.get((stage, trunk), -1),
        )


def _model(store: ArtifactStore, uses: Sequence[Reference]) -> Iterator[CheckpointRow]:
    final = [used for used in uses if used.phase == FINAL]
    artifact = store.intact(final[0].stage, final[0].key) if final else None
    if artifact is not None:
        yield _stored(
            CheckpointKind.MODEL,
            final,
            path=artifact.folder,
            key=artifact.key,
            epoch=None,
            metrics=artifact.metrics,
            size=size_bytes(artifact.files),
            why=("final model",),
        )
