"""What is brought again: what is another content, or may be."""

import os
from pathlib import Path

import pytest

from phasetune.store.durable import write_text
from phasetune.store.paths import results_at
from phasetune.store.remote import comparing
from phasetune.store.remote.comparing import SMALL_BYTES, is_due
from phasetune.store.remote.mirror import open_mirror
from phasetune.store.remote.objects import ObjectState, RemoteObjects

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("size", "written_before_seconds", "copy_differs_seconds", "expected"),
    [
        pytest.param(10, 60, 0, False, id="small and settled when it was brought"),
        pytest.param(10, 1, 0, True, id="small and just written when it was brought"),
        pytest.param(10, 60, 7, True, id="of another time"),
        pytest.param(SMALL_BYTES, 1, 0, False, id="large and of the same time"),
        pytest.param(10, None, 0, True, id="the storage tells no times"),
    ],
)
def test_what_is_due(
    size: int,
    written_before_seconds: int | None,
    copy_differs_seconds: int,
    expected: bool,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"x" * size)
    changed_ns = 0
    if written_before_seconds is not None:
        changed_ns = copy.stat().st_ctime_ns - written_before_seconds * SECOND
    os.utime(copy, ns=(changed_ns, changed_ns + copy_differs_seconds * SECOND))
    there = ObjectState(size=size, changed_ns=changed_ns)
    assert is_due("s/plan.json", there, copy.stat()) is expected


def test_who_looks_again_and_again_brings_each_document_once(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plan.json", "decision.json", "phases/a/attempts/1/x/phasetune-checkpoint.json"):
        write_text(results_at(bucket).root / "s" / name, "{}")
    brought: list[str] = []
    real = RemoteObjects.get

    def get(self: RemoteObjects, name: str, target: Path) -> None:
        brought.append(name)
        real(self, name, target)

    monkeypatch.setattr(RemoteObjects, "get", get)
    monkeypatch.setattr(comparing, "SETTLED_NS", -60 * SECOND)  # as if all that was long ago
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path / "another machine"))
    for _ in range(3):
        open_mirror(bucket).refresh()
    assert len(brought) == 3
