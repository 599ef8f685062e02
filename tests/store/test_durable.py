import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StoreError
from phasetune.store.durable import commit, discard, replacing, write_bytes, write_text

Fault = Callable[[pytest.MonkeyPatch], None]

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_bytes

    def write_half(path: Path, content: bytes) -> int:
        real(path, content[: len(content) // 2])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", write_half)


def while_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _raise)


def while_replacing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", _raise)


def while_flushing_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def flush(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise FULL
        real(descriptor)

    monkeypatch.setattr(os, "fsync", flush)


def _raise(*_: Any) -> None:
    raise FULL


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_written_with_its_folders_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "é\n")
    write_bytes(path, "ü\n".encode())
    assert content_of(path.parent) == {"file.txt": "ü\n".encode()}


@pytest.mark.parametrize("fault", [while_writing, while_flushing, while_replacing])
@pytest.mark.parametrize("before", [{}, {"file.txt": b"old"}])
def test_a_fault_leaves_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, before: dict[str, bytes]
) -> None:
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    with monkeypatch.context() as patch:
        fault(patch)
        with pytest.raises(StoreError) as caught:
            write_bytes(tmp_path / "file.txt", b"new content")
    assert f"{tmp_path / 'file.txt'} can't be written: No space left" in str(caught.value)
    assert content_of(tmp_path) == before


def test_a_fault_after_the_rename_is_told_and_leaves_the_whole_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.txt").write_bytes(b"old")
    with monkeypatch.context() as patch:
        while_flushing_the_folder(patch)
        with pytest.raises(StoreError, match=r"file\.txt can't be written"):
            write_bytes(tmp_path / "file.txt", b"new content")
    assert content_of(tmp_path) == {"file.txt": b"new content"}


def test_a_block_that_fails_changes_nothing_and_keeps_its_error(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as draft:
        draft.write_text(f"half {1 / 0}")
    assert content_of(tmp_path) == {"file.txt": b"old"}


def test_what_can_t_be_a_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/below\.txt can't be written: "):
        write_text(tmp_path / "file" / "below.txt", "text")
    assert content_of(tmp_path) == {"file": b"in the way"}


def test_everything_is_flushed_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    opened: dict[int, str] = {}
    real_open, real_replace = os.open, os.replace

    def open_(path: Any, *arguments: Any, **keywords: Any) -> int:
        descriptor = real_open(path, *arguments, **keywords)
        opened[descriptor] = Path(path).name
        return descriptor

    def replace(source: Any, target: Any) -> None:
        steps.append("rename")
        real_replace(source, target)

    draft = tmp_path / "draft"
    (draft / "files").mkdir(parents=True)
    (draft / "files" / "model").write_text("weights")
    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", lambda descriptor: steps.append(opened[descriptor]))
    monkeypatch.setattr(os, "replace", replace)
    commit(draft, tmp_path / "target")
    assert set(steps[:3]) == {"files", "model", "draft"}
    assert steps[3:] == ["rename", tmp_path.name]


def test_the_first_folder_that_was_committed_stays(tmp_path: Path) -> None:
    for text in ("first", "second"):
        (tmp_path / text).mkdir()
        (tmp_path / text / "file").write_text(text)
    commit(tmp_path / "first", tmp_path / "target")
    with pytest.raises(OSError, match=r"not empty|exists"):
        commit(tmp_path / "second", tmp_path / "target")
    assert content_of(tmp_path / "target") == {"file": b"first"}
    assert content_of(tmp_path / "second") == {"file": b"second"}


def test_discarding_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("text")
    link = tmp_path / "link"
    link.symlink_to(kept)
    discard(link)
    discard(tmp_path / "never-there")
    assert not link.is_symlink()
    assert content_of(kept) == {"file": b"text"}
