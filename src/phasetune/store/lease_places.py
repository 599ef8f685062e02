"""Where a lease lies: a folder on a file system that machines share, or an object at a URI.

In a folder each holder has a file of its own, numbered one above that of the holder before, and the
highest number is the one that counts. A file becomes visible with its content and only where there
is none of its number (`os.link`, as NFS wants it), so of two that come at once one has it; and who
holds a lease writes only into its own file, so it can't harm the lease of another, however late it
wakes. Object stores, as pyarrow opens them, write without a condition: there the last of two that
come at once has it, which both find out by reading a moment later. That is best effort.
"""

import errno
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.mirror import mirror_of
from phasetune.store.remote.objects import RemoteObjects
from phasetune.store.remote.uris import joined

SETTLE_SECONDS = 2.0
_LEASES = ".leases"
_FREE = b"free\n"
_GONE = (errno.ENOENT, errno.ESTALE)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_MOST_READ_BYTES = 1 << 16
_MOST_LOOKS = 100
_LOOK_AGAIN_SECONDS = 0.1


class Place(Protocol):
    """Where a lease lies. Each method raises OSError where the storage is away, or refuses."""

    @property
    def shown(self) -> str:
        """For people."""

    def look(self) -> bytes:
        """What the holder said last; nothing where there is none."""

    def claim(self, content: bytes) -> bool:
        """Become the holder, unless somebody else did since `look`; whether that came about."""

    def renew(self, token: bytes, content: bytes) -> bool:
        """Say something else as the holder whose content has this token; whether it still is one.
        What others say stays.
        """

    def release(self, token: bytes) -> None:
        """Be no holder any more; what others say stays."""

    def withdraw(self) -> None:
        """Delete the place, which nobody will use again."""


class FolderPlace:
    """A folder of numbered files, in which the highest number counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    @property
    def shown(self) -> str:
        return str(self._folder)

    def look(self) -> bytes:
        for _ in range(_MOST_LOOKS):
            self._number = self._highest()
            if self._number == 0:
                return b""
            try:
                content = self._file.read_bytes()
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)  # somebody took over, or an old listing was cached
            else:
                return b"" if content.startswith(_FREE) else content
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def claim(self, content: bytes) -> bool:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        if not self._is_created(content):
            return False
        if self._highest() > self._number:  # this one slept while others came and went
            self._file.unlink(missing_ok=True)
            return False
        for number in sorted(number for number in self._numbers() if number < self._number):
            self._at(number).unlink(missing_ok=True)
        return True

    def renew(self, token: bytes, content: bytes) -> bool:
        """By the number one looks at a name, by the token at what one may write into."""
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        try:
            if token not in os.pread(descriptor, _MOST_READ_BYTES, 0):
                return False
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self._highest() == self._number

    def release(self, token: bytes) -> None:
        """The file stays, so that numbers only grow: who slept since it looked takes no old one."""
        self.renew(token, _FREE)

    def withdraw(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _is_created(self, content: bytes) -> bool:
        draft = self._folder / f".draft-{uuid.uuid4().hex[:12]}"
        draft.write_bytes(content)
        try:
            os.link(draft, self._file)
        except FileExistsError:
            return self._says(content)  # NFS says so too where it did it and the answer was lost
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._is_created_alone(content)
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _is_created_alone(self, content: bytes) -> bool:
        """On file systems without links; what it says comes a moment later."""
        try:
            with self._file.open("xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def _says(self, content: bytes) -> bool:
        with suppress(FileNotFoundError):
            return self._file.read_bytes() == content
        return False

    @property
    def _file(self) -> Path:
        return self._at(self._number)

    def _at(self, number: int) -> Path:
        return self._folder / str(number)

    def _highest(self) -> int:
        return max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        with suppress(FileNotFoundError):
            return [int(path.name) for path in self._folder.iterdir() if path.name.isdecimal()]
        return []


class ObjectPlace:
    """An object that whoever writes last holds."""

    def __init__(self, uri: str, name: str) -> None:
        self._objects = RemoteObjects(uri)
        self._name = name

    @property
    def shown(self) -> str:
        return joined(self._objects.uri, self._name)

    def look(self) -> bytes:
        return self._objects.read(self._name) or b""

    def claim(self, content: bytes) -> bool:
        self._objects.write(self._name, content)
        time.sleep(SETTLE_SECONDS)
        return self.look() == content

    def renew(self, token: bytes, content: bytes) -> bool:
        """Who was paused, or whose write took long, looks again: somebody may have come since."""
        began = _now()
        is_held = token in self.look()
        if is_held and _now() - began >= SETTLE_SECONDS:
            began, is_held = _now(), token in self.look()
        if not is_held:
            return False
        self._objects.write(self._name, content)
        return _now() - began < SETTLE_SECONDS or token in self.look()

    def release(self, token: bytes) -> None:
        if token in self.look():
            self._objects.delete(self._name)

    def withdraw(self) -> None:
        self._objects.delete(self._name)


def lease_place(paths: ResultsPaths, name: str) -> Place:
    """Where a lease on some use of a results root lies, in its hidden folder `.leases`."""
    mirror = mirror_of(paths.root)
    if mirror is None:
        return FolderPlace(paths.root / _LEASES / name)
    return ObjectPlace(mirror.uri, f"{_LEASES}/{name}")


def lease_places(paths: ResultsPaths, prefix: str) -> list[Place]:
    """All leases whose names begin so.

    Raises:
        OSError: the storage is away.
    """
    return [lease_place(paths, name) for name in lease_names(paths, prefix)]


def lease_names(paths: ResultsPaths, prefix: str) -> list[str]:
    """The names of all leases that begin so.

    Raises:
        OSError: the storage is away.
    """
    mirror, names = mirror_of(paths.root), list[str]()
    if mirror is not None:
        names = [name.partition("/")[2] for name in RemoteObjects(mirror.uri).sizes(_LEASES)]
    else:
        with suppress(FileNotFoundError):
            names = [path.name for path in (paths.root / _LEASES).iterdir()]
    return [name for name in sorted(names) if name.startswith(prefix)]


def _now() -> float:
    """Goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
