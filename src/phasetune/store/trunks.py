"""Stored trunks: the state of training at steps that runs of several horizons have in common.

A trunk is an artifact under `<id>-<step>`. It goes on from the newest earlier one of its
environment class, whichever run that was made for.
"""

import re
from collections.abc import Mapping
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.remote.mirror import bring_documents, folder_names

_KEY = re.compile(r"[0-9a-f]{32}-(\d{6,})")


def trunk_steps(store: ArtifactStore, stage: str, trunk: str) -> list[int]:
    """The steps at which a trunk is stored, ascending."""
    names = folder_names(store.root / stage)
    steps = {_step_of(name): name for name in names if name.startswith(f"{trunk}-")}
    return sorted(s for s, key in steps.items() if s is not None and _is_stored(store, stage, key))


def _is_stored(store: ArtifactStore, stage: str, key: str) -> bool:
    if not store.has(stage, key):
        bring_documents(store.folder(stage, key))
    return store.has(stage, key)


def _step_of(key: str) -> int | None:
    found = _KEY.fullmatch(key)
    return None if found is None else int(found[1])


def newest_trunk(
    store: ArtifactStore,
    stage: str,
    trunk: str,
    *,
    most_step: int,
    environment: Mapping[str, Any],
) -> tuple[int, Artifact] | None:
    """The stored trunk with the highest step up to `most_step` that verifies, and its step.

    One of another environment class does not count: what goes on from it would be of neither. A
    damaged one is set aside.
    """
    for step in reversed(trunk_steps(store, stage, trunk)):
        if step > most_step:
            continue
        key = f"{trunk}-{step:06d}"
        try:
            found = store.get(stage, key)
            if found is not None and found.environment == environment:
                found.verify()
                return step, found
        except StoreError:
            store.set_aside(stage, key, reason="damaged")
    return None
