"""Room on a disk, in numbers and in words."""

from pathlib import Path

import pytest

from phasetune.store.space import disk_free, size_bytes, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (120 * 1024**2, "120 MiB"),
        (1024**3, "1.0 GiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2000 * 1024**4, "2000 TiB"),
    ],
)
def test_sizes_read_well(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_folder_takes_what_its_files_hold(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(bytes(10))
    (tmp_path / "two").write_bytes(bytes(5))
    assert size_bytes(tmp_path) == 15
    assert size_bytes(tmp_path / "two") == 5
    assert size_bytes(tmp_path / "gone") == 0


def test_a_disk_has_room_where_nothing_is_yet(tmp_path: Path) -> None:
    there, not_yet = disk_free(tmp_path), disk_free(tmp_path / "results" / "deep")
    assert there.total == not_yet.total
    assert 0 <= there.free <= there.total
