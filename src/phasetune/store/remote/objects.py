"""Objects below a URI, as pyarrow opens it: named bytes that are put, read, listed and deleted.

What is written appears there when its stream is closed, and pyarrow closes one also when an error
leaves it half filled. So no signal ends a write in the middle, and a stream that an error left is
never closed: what was there before stays.
"""

import ctypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from phasetune.store.remote.opening import as_os_errors, opened
from phasetune.store.remote.undisturbed import undisturbed
from phasetune.store.remote.uris import is_uri as is_uri

_CHUNK = 1 << 22
_MAY_BE_GONE = ("NO_SUCH_KEY", "NOT_FOUND", "INTERNAL_FAILURE")
"""What is said of one that went once its stream was open; the last of those that are shorter than
what the storage says of that.
"""
_WITH_BUCKETS = ("s3", "gcs", "abfs")


@dataclass(frozen=True, kw_only=True)
class ObjectState:
    """An object's bytes, and when it was last written, in ns; 0 where the storage does not say."""

    size: int
    changed_ns: int


@dataclass(frozen=True)
class RemoteObjects:
    """Objects by their names relative to the URI, such as `store/train/3fa.../manifest.json`.

    Every method raises OSError where the storage can't be reached, or refuses.
    """

    uri: str

    def check(self) -> None:
        """Whether it can be reached at all; raises FileNotFoundError where there is no bucket."""
        if self._listed("", recursive=False) or self._files.type_name not in _WITH_BUCKETS:
            return
        bucket = self._base.partition("/")[0]
        with as_os_errors():
            info = self._files.get_file_info(bucket)
        if info.type.value == 0:  # not found
            raise FileNotFoundError(f"there is no bucket {bucket}")

    def states(self, folder: str = "") -> dict[str, ObjectState]:
        """Every object below a folder, at any depth, by its name."""
        found = self._listed(folder, recursive=True)
        return {self._name(info.path): _state(info) for info in found if info.is_file}

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The bytes of every object below a folder, at any depth, by its name."""
        return {name: state.size for name, state in self.states(folder).items()}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders that lie directly in a folder."""
        found = self._listed(folder, recursive=False)
        return sorted(info.base_name for info in found if not info.is_file)

    def state(self, name: str) -> ObjectState | None:
        """One object's state; None where there is none."""
        with as_os_errors():
            info = self._files.get_file_info(self._path(name))
        return _state(info) if info.is_file else None

    def size(self, name: str) -> int | None:
        """The bytes of one object; None where there is none."""
        found = self.state(name)
        return None if found is None else found.size

    def get(self, name: str, target: Path) -> None:
        """Copy an object into a file; FileNotFoundError where there is none any more."""
        with self._reading(name) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)

    def put(self, source: Path, name: str) -> None:
        """Copy a file's content to an object; whoever reads it sees all of it or the one before."""
        with source.open("rb") as file:
            undisturbed(lambda: self._write(name, _chunks(file)))

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none."""
        if self.size(name) is None:
            return None
        try:
            with self._reading(name) as source:
                content: bytes = source.read()
        except FileNotFoundError:
            return None  # it went meanwhile
        return content

    def write(self, name: str, content: bytes) -> None:
        """Replace an object's content; as for `put`."""
        undisturbed(lambda: self._write(name, iter([content])))

    def copy(self, source: str, target: str) -> None:
        """Copy an object without bringing it here."""
        with as_os_errors():
            self._files.copy_file(self._path(source), self._path(target))

    def delete(self, name: str) -> None:
        """Delete an object; nothing where there is none."""
        if self.size(name) is not None:
            with as_os_errors():
                self._files.delete_file(self._path(name))

    def delete_folder(self, name: str) -> None:
        """Delete all objects below a folder, many at a time."""
        with as_os_errors():
            self._files.delete_dir_contents(self._path(name), missing_dir_ok=True)

    def located(self, name: str) -> tuple[Any, str]:
        """An object, or a folder, for those who take a file system of pyarrow and a path in it."""
        return self._files, self._path(name)

    def _listed(self, folder: str, *, recursive: bool) -> list[Any]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=recursive)
        with as_os_errors():
            found: list[Any] = self._files.get_file_info(selector)
        return found

    @contextmanager
    def _reading(self, name: str) -> Iterator[Any]:
        try:
            with as_os_errors(), self._files.open_input_stream(self._path(name)) as source:
                yield source
        except OSError as error:
            if any(mark in str(error) for mark in _MAY_BE_GONE) and self.size(name) is None:
                raise FileNotFoundError(f"{name} went while it was read") from error
            raise

    def _write(self, name: str, chunks: Iterator[bytes]) -> None:
        first = next(chunks, b"")  # before the stream is open: most files have no more
        with as_os_errors():
            target = self._files.open_output_stream(self._path(name))
            try:
                target.write(first)
                _write_rest(target, chunks)
            except BaseException:
                _never_close(target)
                raise
            target.close()

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}".rstrip("/")

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self._base}/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _base(self) -> str:
        return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return opened(self.uri)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """A file's content; a short chunk is the last one, so that small files are read at once."""
    chunk = file.read(_CHUNK)
    yield chunk
    while len(chunk) == _CHUNK:
        chunk = file.read(_CHUNK)
        yield chunk


def _write_rest(target: Any, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        target.write(chunk)


def _never_close(target: Any) -> None:
    """Not even when the interpreter ends: its last reference would close it, and so complete it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(target))


def _state(info: Any) -> ObjectState:
    return ObjectState(size=info.size, changed_ns=info.mtime_ns or 0)
