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
_remembered: ContextVar["_Memory | None"] = ContextVar("remembered_digests", default=None)


class _Memory:
    def __init__(self, known: dict[str, str], *, fresh: bool) -> None:
        self.known = known
        self.fresh = fresh


@contextmanager
def remembered_digests(path: Path, *, fresh: bool) -> Iterator[None]:
    """Within the block `file_digest` remembers in this file; `fresh` hashes everything again.

    The file is only written into a folder that exists: planning makes none. Where it can't be
    written nothing is remembered.
    """
    try:
        known = {str(k): str(v) for k, v in (read_document(path) or {}).items()}
    except StoreError:
        known = {}
    before = dict(known)
    memory = _Memory(known, fresh=fresh)
    token = _remembered.set(memory)
    try:
        yield
    finally:
        _remembered.reset(token)
        if memory.known != before and path.parent.is_dir():
            with suppress(StoreError):
                write_document(path, memory.known)


def file_digest(path: Path) -> str:
    """128 bits of SHA-256 over a file's content, in hexadecimal.

    Raises:
        OSError: the file is missing or can't be read.
    """
    memory = _remembered.get()
    stat = path.stat()
    identity = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
    if memory is not None and not memory.fresh and identity in memory.known:
        return memory.known[identity]
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    result = hashed.hexdigest()[:DIGEST_LENGTH]
    if memory is not None:
        memory.known[identity] = result
    return result
