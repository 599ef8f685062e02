"""Objects below a URI, as pyarrow opens it: named bytes that are put, read, listed and deleted."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHUNK = 1 << 22


def is_uri(text: str) -> bool:
    """Whether results at `text` lie on an object store, and not in a folder."""
    return _SCHEME.match(text) is not None


@dataclass(frozen=True)
class RemoteObjects:
    """Objects by their names relative to the URI, such as `store/train/3fa.../manifest.json`.

    Every method raises OSError where the storage can't be reached, or refuses.
    """

    uri: str

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The bytes of every object below a folder, at any depth, by its name."""
        found = self._listed(folder, recursive=True)
        return {self._name(info.path): info.size for info in found if info.is_file}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders that lie directly in a folder."""
        found = self._listed(folder, recursive=False)
        return sorted(info.base_name for info in found if not info.is_file)

    def size(self, name: str) -> int | None:
        """The bytes of one object; None where there is none."""
        info = self._files.get_file_info(self._path(name))
        return info.size if info.is_file else None

    def get(self, name: str, target: Path) -> None:
        """Copy an object into a file."""
        with self._files.open_input_stream(self._path(name)) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)

    def put(self, source: Path, name: str) -> None:
        """Copy a file's content to an object; whoever reads it sees all of it or the one before."""
        with source.open("rb") as file, self._files.open_output_stream(self._path(name)) as target:
            while chunk := file.read(_CHUNK):
                target.write(chunk)

    def read(self, name: str) -> bytes | None:
        """An object's content; None where there is none."""
        if self.size(name) is None:
            return None
        with self._files.open_input_stream(self._path(name)) as source:
            content: bytes = source.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Replace an object's content."""
        with self._files.open_output_stream(self._path(name)) as target:
            target.write(content)

    def copy(self, source: str, target: str) -> None:
        """Copy an object without bringing it here."""
        self._files.copy_file(self._path(source), self._path(target))

    def delete(self, name: str) -> None:
        """Delete an object; nothing where there is none."""
        if self.size(name) is not None:
            self._files.delete_file(self._path(name))

    def _listed(self, folder: str, *, recursive: bool) -> list[Any]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=recursive)
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
        return str(self._opened[1]).rstrip("/")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from pyarrow import fs

        opened: tuple[Any, str] = fs.FileSystem.from_uri(self.uri)
        return opened
