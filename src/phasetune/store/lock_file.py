"""A file whose lock the operating system holds for as long as this process has it open.

So nothing is stale after a kill. The lock is on the file itself, not on its name: the file stays
and is written in place, since deleting or replacing it would let two processes hold two locks.
"""

import errno
import fcntl
import os
from functools import cache
from pathlib import Path
from weakref import WeakSet

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_MOST_READ_BYTES = 1 << 16


class NoLocksError(OSError):
    """The file system has no locks."""


class LockFile:
    """An open lock file.

    Neither a program that this process starts nor a child that it forks keeps the lock: they may
    outlive it.

    Raises:
        OSError: it can't be opened or made; a symbolic link is not followed.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        # what is no file, such as a pipe, could be waited for in vain
        flags = (os.O_RDWR if writes else os.O_RDONLY) | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        self._descriptor: int | None = descriptor
        self._before = os.fstat(descriptor)
        _leave_to_parent()
        _OPEN.add(self)

    @property
    def is_open(self) -> bool:
        """Whether this process has it open: not after `close`, nor in a forked child."""
        return self._descriptor is not None

    def lock(self, *, shared: bool) -> None:
        """Take the lock, alone or shared, without waiting for it.

        Raises:
            BlockingIOError: another one holds it.
            NoLocksError: there are none here.
            OSError: it can't be locked for another reason.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._number, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise NoLocksError(error.errno, error.strerror) from error
            raise

    def read(self) -> bytes:
        """What the file says, up to 64 KiB."""
        return os.pread(self._number, _MOST_READ_BYTES, 0)

    def write(self, content: bytes) -> None:
        """Replace what the file says, in place."""
        os.pwrite(self._number, content, 0)
        os.ftruncate(self._number, len(content))

    def clear(self) -> None:
        """Empty it and give it back its times: who held it and did nothing left no trace."""
        os.ftruncate(self._number, 0)
        os.utime(self._number, ns=(self._before.st_atime_ns, self._before.st_mtime_ns))

    def close(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def _number(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor


_OPEN: WeakSet[LockFile] = WeakSet()


@cache
def _leave_to_parent() -> None:
    """From the first lock file on, whatever is forked closes all of them; hooks can't be undone."""
    os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for file in tuple(_OPEN):
        file.close()
