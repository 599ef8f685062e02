"""What ends a write or a read in the middle: errors, signals, and whoever deletes meanwhile."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from phasetune.store.durable import write_text
from phasetune.store.paths import results_at
from phasetune.store.remote import objects as module
from phasetune.store.remote.mirror import open_mirror
from phasetune.store.remote.objects import RemoteObjects

OLD = b"old"
SMALL, LARGE = 100, 3 * module._CHUNK
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


class Rung(BaseException):
    """A signal came."""


class Files:
    """The file system of pyarrow, where something happens once a stream is open."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Rings(Files):
    """The main thread gets a signal."""

    def open_output_stream(self, path: str) -> Any:
        stream = self._real.open_output_stream(path)
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGALRM)
        return stream


class Vanishes(Files):
    """The object is deleted."""

    def open_input_stream(self, path: str) -> Any:
        stream = self._real.open_input_stream(path)
        self._real.delete_file(path)
        return stream


def through(files: type[Files], objects: RemoteObjects) -> RemoteObjects:
    """The same objects, reached through these."""
    real, base = objects.located("")[0], objects._base
    objects.__dict__["_opened"] = (files(real), base)
    return objects


@pytest.fixture
def objects(bucket: str) -> RemoteObjects:
    """Where `here` holds something already."""
    found = RemoteObjects(bucket)
    found.write("here", OLD)
    return found


@contextmanager
def rung() -> Iterator[None]:
    """Within the block a signal raises in the main thread."""

    def ring(*_: object) -> None:
        raise Rung

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", ["here", "new"])
@pytest.mark.parametrize("num_chunks", [0, 1, 3])
def test_what_can_be_read_in_part_only_leaves_what_was_there(
    num_chunks: int,
    name: str,
    objects: RemoteObjects,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def torn(file: BinaryIO) -> Iterator[bytes]:
        for _ in range(num_chunks):
            yield file.read(module._CHUNK)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_chunks", torn)
    source = tmp_path / "source"
    source.write_bytes(b"x" * (LARGE + 1))
    with pytest.raises(OSError, match="Input/output error"):
        objects.put(source, name)
    assert RemoteObjects(bucket).read(name) == (OLD if name == "here" else None)


@SIZES
def test_a_signal_in_the_middle_leaves_no_half(
    size: int, objects: RemoteObjects, bucket: str, tmp_path: Path
) -> None:
    source, content = tmp_path / "source", b"n" * size
    source.write_bytes(content)
    with rung(), pytest.raises(Rung):
        through(Rings, objects).put(source, "here")
    assert RemoteObjects(bucket).read("here") == content


@SIZES
def test_content_is_written_whole_whatever_rings(
    size: int, objects: RemoteObjects, bucket: str
) -> None:
    with rung(), pytest.raises(Rung):
        through(Rings, objects).write("here", b"n" * size)
    assert RemoteObjects(bucket).size("here") == size


@SIZES
def test_a_file_of_any_size_is_there_as_it_is(
    size: int, objects: RemoteObjects, tmp_path: Path
) -> None:
    for number in (0, size, size + 1):
        source = tmp_path / "source"
        source.write_bytes(b"x" * number)
        objects.put(source, "here")
        assert objects.size("here") == number


@SIZES
def test_what_vanishes_while_it_is_read_is_not_there(size: int, objects: RemoteObjects) -> None:
    objects.write("here", b"x" * size)
    assert through(Vanishes, objects).read("here") is None


def test_results_in_which_something_vanishes_meanwhile_are_read(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(results_at(bucket).root / "s/plan.json", "{}")
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path / "another machine"))
    through(Vanishes, open_mirror(bucket).objects)
    paths = results_at(bucket)
    assert not (paths.root / "s/plan.json").exists()
