"""Digests of files, remembered by (path, size, mtime, inode) so that planning is instant.

Planning trusts what is remembered; running hashes again (`remembered_digests(fresh=True)`).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.stage.canonical import DIGEST_LENGTH
from phasetune.store.documents import read_document, write_document

_CHUNK = 1 << 20
_remembered: ContextVar["DigestMemory | None"] = ContextVar("remembered_digests", default=None)


class DigestMemory:
    """Digests that were known, and those that were added since."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self._path = path
        self._fresh = fresh
        try:
            self._before = {str(k): str(v) for k, v in (read_document(path) or {}).items()}
        except StoreError:
            self._before = {}
        self._known = dict(self._before)

    def get(self, identity: str) -> str | None:
        """A digest that may be trusted."""
        return None if self._fresh else self._known.get(identity)

    def put(self, identity: str, digest: str) -> None:
        """Remember a digest; forget those of the same file as it was before."""
        path = identity.rsplit(":", 3)[0]
        for old in [known for known in self._known if known.rsplit(":", 3)[0] == path]:
            del self._known[old]
        self._known[identity] = digest

    def keep(self) -> None:
        """Write what is known, where the folder exists and can be written."""
        if self._known != self._before and self._path.parent.is_dir():
            with suppress(StoreError):
                write_document(self._path, self._known)
                self._before = dict(self._known)


@contextmanager
def remembered_digests(path: Path, *, fresh: bool) -> Iterator[DigestMemory]:
    """Within the block `file_digest` remembers in this file; `fresh` hashes everything again.

    The file is only written into a folder that exists: planning makes none.
    """
    memory = DigestMemory(path, fresh=fresh)
    token = _remembered.set(memory)
    try:
        yield memory
    finally:
        _remembered.reset(token)
        memory.keep()


def file_digest(path: Path) -> str:
    """128 bits of SHA-256 over a file's content, in hexadecimal.

    Raises:
        OSError: the file is missing or can't be read.
    """
    memory = _remembered.get()
    stat = path.stat()
    identity = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
    known = None if memory is None else memory.get(identity)
    if known is not None:
        return known
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    result = hashed.hexdigest()[:DIGEST_LENGTH]
    if memory is not None:
        memory.put(identity, result)
    return result
