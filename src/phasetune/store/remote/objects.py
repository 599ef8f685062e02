"""Objects below a URI, as pyarrow opens it: named bytes that are put, read, listed and deleted."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from phasetune.store.remote.opening import as_os_errors, opened
from phasetune.store.remote.uris import is_uri as is_uri

_CHUNK = 1 << 22
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
        """Copy an object into a file."""
        with (
            as_os_errors(),
            self._files.open_input_stream(self._path(name)) as source,
            target.open("wb") as file,
        ):
            while chunk := source.read(_CHUNK):
                file.write(chunk)

    def put(self, source: Path, name: str) -> None:
        """Copy a file's content to an object; whoever reads it sees all of it or the one before."""
        with as_os_errors(), source.open("rb") as file:
            chunk = file.read(_CHUNK)  # first: what can't be read leaves no half of itself there
            with self._files.open_output_stream(self._path(name)) as target:
                while chunk:
                    target.write(chunk)
                    chunk = file.read(_CHUNK)

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none."""
        if self.size(name) is None:
            return None
        with as_os_errors(), self._files.open_input_stream(self._path(name)) as source:
            content: bytes = source.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Replace an object's content."""
        with as_os_errors(), self._files.open_output_stream(self._path(name)) as target:
            target.write(content)

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


def _state(info: Any) -> ObjectState:
    return ObjectState(size=info.size, changed_ns=info.mtime_ns or 0)
