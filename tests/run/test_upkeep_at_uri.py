"""Upkeep of results at a URI: a full disk is that of the mirror, whose copies go."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from machines import on, publish, reader
from object_store import ObjectServer
from phasetune.errors import StoreError
from phasetune.run.upkeep import Upkeep
from phasetune.store.space import GIB, DiskSpace

NEARLY_FULL = DiskSpace(total=100 * GIB, free=GIB)
FULL = DiskSpace(total=100 * GIB, free=0)


def test_a_full_disk_costs_the_mirrors_copies_and_nothing_at_the_uri(
    bucket: str,
    tmp_path: Path,
    scripted_study: StudyMaker,
    heard: Heard,
    object_server: ObjectServer,
) -> None:
    def upkeep(space: DiskSpace) -> Upkeep:
        paths = reader(bucket)
        return Upkeep(scripted_study(), paths, listener=heard, in_flight=1, space=lambda _: space)

    with on(tmp_path / "here"):
        found = publish(reader(bucket))
        before = object_server.names(bucket)
        wave: list[Any] = [SimpleNamespace(attempt=found.folder)]
        upkeep(NEARLY_FULL).before_wave(wave)
        assert not (found.folder / "files").exists()
        assert object_server.names(bucket) == before
        with pytest.raises(StoreError, match=rf"the mirror of {bucket}, has 0 B|PHASETUNE_CACHE"):
            upkeep(FULL).before_wave(wave)
        found.verify()
