import hashlib
import os
from pathlib import Path

import pytest

from phasetune.store.digests import file_digest, remembered_digests
from phasetune.store.documents import read_document


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "digests.json"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(b"one")
    return path


def digest(path: Path, memory: Path, *, fresh: bool = False) -> str:
    with remembered_digests(memory, fresh=fresh):
        return file_digest(path)


def change_unseen(path: Path, content: bytes) -> None:
    """Other bytes of the same size, in the same file at the same time."""
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def test_a_digest_is_that_of_the_content_however_large(tmp_path: Path) -> None:
    content = os.urandom(3 << 20) + b"end"
    (tmp_path / "large").write_bytes(content)
    assert file_digest(tmp_path / "large") == of(content)
    (tmp_path / "empty").write_bytes(b"")
    assert file_digest(tmp_path / "empty") == of(b"")


def test_a_file_that_looks_the_same_is_remembered_and_run_hashes_again(
    data: Path, memory: Path
) -> None:
    assert digest(data, memory) == of(b"one")
    change_unseen(data, b"two")
    assert digest(data, memory) == of(b"one")
    assert digest(data, memory, fresh=True) == of(b"two")
    assert digest(data, memory) == of(b"two")


def test_without_a_memory_every_file_is_hashed(data: Path, memory: Path) -> None:
    digest(data, memory)
    change_unseen(data, b"two")
    assert file_digest(data) == of(b"two")


def newer(path: Path) -> None:
    path.write_bytes(b"two")
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def longer(path: Path) -> None:
    stat = path.stat()
    path.write_bytes(b"three")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replaced(path: Path) -> None:
    stat = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [newer, longer, replaced])
def test_a_file_that_looks_different_is_hashed(data: Path, memory: Path, change: object) -> None:
    digest(data, memory)
    assert callable(change)
    change(data)
    assert digest(data, memory) == of(data.read_bytes())


def test_planning_makes_no_folder(data: Path, tmp_path: Path) -> None:
    assert digest(data, tmp_path / "results" / "store" / "digests.json") == of(b"one")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}'])
def test_a_memory_that_is_damaged_is_made_anew(data: Path, memory: Path, content: bytes) -> None:
    memory.write_bytes(content)
    assert digest(data, memory) == of(b"one")
    assert of(b"one") in (read_document(memory) or {}).values()


def test_a_memory_that_can_t_be_written_is_done_without(
    data: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        assert digest(data, memory) == of(b"one")
    assert not list(memory.parent.iterdir())


def test_what_was_hashed_before_an_error_is_remembered(data: Path, memory: Path) -> None:
    def hash_and_fail() -> None:
        with remembered_digests(memory, fresh=False):
            file_digest(data)
            file_digest(data.with_name("missing"))

    with pytest.raises(FileNotFoundError, match="missing"):
        hash_and_fail()
    change_unseen(data, b"two")
    assert digest(data, memory) == of(b"one")
