"""Ray's temporary folder: room for a cluster, and what is left of one."""

import os
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.run.ray.temporary import refuse_without_room, remove_session, temporary_folder
from phasetune.store.space import DiskSpace

GIB = 1024**3
MIB = 1024**2


@pytest.mark.parametrize(
    ("total", "free", "told"),
    [
        (100 * GIB, 50 * GIB, None),
        (100 * GIB, 5 * GIB, None),
        (GIB, 201 * MIB, None),
        (100 * GIB, 4 * GIB, "is 96.0% full, 4.0 GiB are free; above 95% Ray refuses"),
        (100 * GIB, 201 * MIB, "201 MiB are free"),
    ],
    ids=["half", "at the limit", "small", "above the limit", "nearly full"],
)
def test_a_disk_that_is_nearly_full_is_told(total: int, free: int, told: str | None) -> None:
    def space(_: Path) -> DiskSpace:
        return DiskSpace(total=total, free=free)

    warning = refuse_without_room(Path("/somewhere/ray"), space=space)
    assert (warning is None) is (told is None)
    if warning is not None and told is not None:
        assert warning.startswith("warning: the disk of Ray's temporary folder /somewhere/ray ")
        assert told in warning
        assert warning.endswith("make room, or name a folder on another disk in RAY_TMPDIR")


def test_no_room_is_an_error() -> None:
    def space(_: Path) -> DiskSpace:
        return DiskSpace(total=GIB, free=199 * MIB)

    with pytest.raises(StoreError, match="/somewhere/ray has 199 MiB free, and a cluster takes mo"):
        refuse_without_room(Path("/somewhere/ray"), space=space)


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_the_folder_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(name, str(tmp_path))
    assert temporary_folder() == tmp_path / "ray"


def test_only_a_session_of_this_process_is_removed(tmp_path: Path) -> None:
    own, other = (tmp_path / f"session_2026_{pid}" for pid in (os.getpid(), os.getpid() + 1))
    for folder in (own, other):
        (folder / "logs").mkdir(parents=True)
        remove_session(folder)
    remove_session(None)
    assert list(tmp_path.iterdir()) == [other]
