"""The calls of a stage's function that one run takes: one, or first its trunk and then itself.

A call goes on from what is furthest: the newest checkpoint that an interrupted call of the same
kind left, or the newest stored trunk. Checkpoints of a trunk are sealed with its id and not with
its step, so that they serve whatever branch point comes next.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.plan.trial import TrunkPoint
from phasetune.run.checkpoints import SealedCheckpoint, newest_checkpoint
from phasetune.run.request import RunRequest
from phasetune.stage.contract import Trunk
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.paths import run_folder
from phasetune.store.remote.mirror import Mirror, mirror_of
from phasetune.store.trunks import newest_trunk

_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: the key of what it leaves, that of its checkpoints, and where it begins.

    `inherited_seconds` is what the stored trunk took that the run goes on from.
    """

    key: str
    seal: str
    trunk: Trunk | None
    begins: Artifact | None
    resumes: SealedCheckpoint | None
    inherited_seconds: float
    is_last: bool
    notes: tuple[str, ...] = ()


def bring_checkpoints(request: RunRequest) -> None:
    """Bring what earlier attempts left of this run, on whatever machine; no one else's.

    Raises:
        StoreError: the URI of the results can't be reached.
    """
    study = request.study_paths
    mirror = mirror_of(study.root)
    if mirror is None:
        return
    run, phases = request.run, mirror.folders(study.root / "phases")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        attempts = _folders_in(mirror, [study.phase(name).attempts for name in phases], pool)
        own = [attempt / run_folder(run.stage, run.family) for attempt in attempts]
        list(pool.map(mirror.bring, _folders_in(mirror, own, pool)))


def _folders_in(mirror: Mirror, paths: Sequence[Path], pool: ThreadPoolExecutor) -> list[Path]:
    names = pool.map(mirror.folders, paths)
    return [path / name for path, found in zip(paths, names, strict=True) for name in found]


def whole_call(request: RunRequest) -> Call:
    """A run from its begin to its end, whatever of it is stored."""
    return Call(
        key=request.run.key,
        seal=request.run.key,
        trunk=None,
        begins=None,
        resumes=None,
        inherited_seconds=0.0,
        is_last=True,
    )


def first_call(request: RunRequest, store: ArtifactStore, environment: Mapping[str, Any]) -> Call:
    """What comes first: the trunk up to the branch point, or the run itself."""
    run, point = request.run, request.run.trunk
    own, notes = _checkpoint(request, run.key, environment)
    if point is None:
        return replace(whole_call(request), resumes=own, notes=notes)
    found = newest_trunk(store, run.stage, point.id, most_step=point.step, environment=environment)
    if found is not None and found[0] == point.step:
        return _branch(request, found[1], own, inherited=found[1].duration_seconds, notes=notes)
    return _trunk(request, point, found, store, environment)


def second_call(
    request: RunRequest, store: ArtifactStore, environment: Mapping[str, Any], *, before: Call
) -> Call:
    """The run itself, after its trunk was made.

    Raises:
        StoreError: the trunk is not there, or is one of another environment class.
    """
    trunk = store.get(request.run.stage, before.key)
    if trunk is None or trunk.environment != environment:
        raise StoreError(
            f"the trunk {request.run.stage}/{before.key} is not what this run made; another study "
            "may use it on another kind of machine at this moment; run again"
        )
    resumes, notes = _checkpoint(request, request.run.key, environment)
    return _branch(request, trunk, resumes, inherited=before.inherited_seconds, notes=notes)


def _trunk(
    request: RunRequest,
    point: TrunkPoint,
    found: tuple[int, Artifact] | None,
    store: ArtifactStore,
    environment: Mapping[str, Any],
) -> Call:
    step, stored = (0, None) if found is None else found
    _set_aside_of_another_environment(request, point, store)
    resumes, notes = _checkpoint(request, point.id, environment, most_step=point.step)
    if resumes is not None and resumes.step <= step:
        resumes = None
    return Call(
        key=point.key,
        seal=point.id,
        trunk=Trunk(begins=None if stored is None else stored.files, until=point.step),
        begins=stored,
        resumes=resumes,
        inherited_seconds=0.0 if stored is None else stored.duration_seconds,
        is_last=False,
        notes=notes,
    )


def _set_aside_of_another_environment(
    request: RunRequest, point: TrunkPoint, store: ArtifactStore
) -> None:
    """The first that is published stays, so one that can't be gone on from makes room."""
    if store.intact(request.run.stage, point.key) is not None:
        store.set_aside(request.run.stage, point.key, reason="environment")


def _branch(
    request: RunRequest,
    trunk: Artifact,
    resumes: SealedCheckpoint | None,
    *,
    inherited: float,
    notes: tuple[str, ...],
) -> Call:
    return Call(
        key=request.run.key,
        seal=request.run.key,
        trunk=Trunk(begins=trunk.files),
        begins=trunk,
        resumes=resumes,
        inherited_seconds=inherited,
        is_last=True,
        notes=notes,
    )


def _checkpoint(
    request: RunRequest, seal: str, environment: Mapping[str, Any], *, most_step: int | None = None
) -> tuple[SealedCheckpoint | None, tuple[str, ...]]:
    folders = request.study_paths.checkpoints(request.run.stage, request.run.family)
    return newest_checkpoint(folders, key=seal, environment=environment, most_step=most_step)
