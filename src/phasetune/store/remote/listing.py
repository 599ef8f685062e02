"""What objects there were when somebody last looked, by name and by every folder above."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath


class Listing:
    """Bytes of objects by name; answers for a folder in proportion to what lies below it."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._below: dict[str, set[str]] = {}

    def put(self, name: str, size: int) -> None:
        """There is this object."""
        self._sizes[name] = size
        for folder in _folders(name):
            self._below.setdefault(folder, set()).add(name)

    def drop(self, name: str) -> None:
        """There is no such object any more."""
        if self._sizes.pop(name, None) is None:
            return
        for folder in _folders(name):
            left = self._below[folder]
            left.discard(name)
            if not left:
                del self._below[folder]

    def replace(self, folder: str, sizes: Mapping[str, int]) -> None:
        """At or below a folder there are these objects and no others."""
        for name in self.at_or_below(folder).keys() - sizes.keys():
            self.drop(name)
        for name, size in sizes.items():
            self.put(name, size)

    def at_or_below(self, name: str) -> dict[str, int]:
        """The object of this name, or all below the folder of this name."""
        if name in self._sizes:
            return {name: self._sizes[name]}
        return {found: self._sizes[found] for found in tuple(self._below.get(name, ()))}

    def folders_like(self, pattern: str) -> Iterator[str]:
        """Folders whose whole name matches a pattern such as `store/*/*`."""
        depth = pattern.count("/")
        for folder in tuple(self._below):
            if folder.count("/") == depth and PurePosixPath(folder).match(pattern):
                yield folder


def _folders(name: str) -> Iterator[str]:
    """The folders above an object; the outermost is the empty name."""
    while name:
        name = name.rpartition("/")[0]
        yield name
