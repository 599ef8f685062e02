"""Files that grow, brought to the results at a URI now and then: the journal, and logs.

An object has no end to append to, so each time the whole file goes there, when its size changed;
but not once another driver may have come, whose files they are then.
Nothing is decided from these files: a storage that refuses them takes no study down, and is told of
once. Below a plain folder nothing is to be done.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.run.context import Channel
from phasetune.store.remote.mirror import Mirror, mirror_of

EVERY_SECONDS = 10.0
_MOST_SHARE = 0.05
"""Of the time, that is spent on it: what takes 3 s to bring there is brought once a minute."""


class Sharing:
    """Some files of a study that its driver shares; `tell` is told of the first that can't be.

    `check` raises StoreError where the study may be another driver's by now.
    """

    def __init__(
        self,
        mirror: Mirror,
        paths: Sequence[Path],
        *,
        tell: Callable[[str], object],
        check: Callable[[], None],
    ) -> None:
        self._mirror = mirror
        self._sizes: dict[Path, int] = dict.fromkeys(paths, -1)
        self._tell = tell
        self._check = check
        self._has_told = False

    def share(self) -> float:
        """Bring there what changed; returns the seconds to wait until the next time."""
        began = time.monotonic()
        if not self._is_ours:
            return EVERY_SECONDS
        for path, before in self._sizes.items():
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                if size != before and self._has_shared(path):
                    self._sizes[path] = size
        return max(EVERY_SECONDS, (time.monotonic() - began) / _MOST_SHARE)

    @property
    def _is_ours(self) -> bool:
        try:
            self._check()
        except StoreError:
            return False  # which the driver tells
        return True

    def _has_shared(self, path: Path) -> bool:
        try:
            self._mirror.share(path)
        except StoreError as error:
            if not self._has_told:
                self._has_told = True
                self._tell(
                    f"warning: {path.name} could not be brought there ({error}), so other machines "
                    "see an older one; it is tried again"
                )
            return False
        return True


@contextmanager
def shared(
    paths: Sequence[Path], *, tell: Callable[[str], object], check: Callable[[], None]
) -> Iterator[None]:
    """Within the block a thread shares the files now and then; after it, they are there as they
    are then. `check` is as for `Sharing`.
    """
    mirror = mirror_of(paths[0])
    if mirror is None:
        yield
        return
    sharing, is_over = Sharing(mirror, paths, tell=tell, check=check), threading.Event()
    thread = threading.Thread(target=_share_on, args=(sharing, is_over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        sharing.share()


def _share_on(sharing: Sharing, is_over: threading.Event) -> None:
    seconds = EVERY_SECONDS
    while not is_over.wait(seconds):
        seconds = sharing.share()


class SharedLog:
    """The log of one run, which the machine of each of its tries has written to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mirror = mirror_of(path)
        self._share_again_at = time.monotonic() + EVERY_SECONDS

    def meet(self) -> None:
        """Make both the same: the longer one is the newer, since a log only grows."""
        if self._mirror is None:
            return
        with suppress(StoreError, OSError):
            there = self._mirror.objects.size(self._mirror.name(self._path))
            if there is not None and there > self._size_here:
                self._mirror.bring(self._path)
            elif self._size_here > (there or 0):
                self._mirror.share(self._path)

    def share_now_and_then(self) -> None:
        """Bring it there, if that is not just done; whoever writes to it goes on with this file."""
        if self._mirror is not None and time.monotonic() >= self._share_again_at:
            self._share(self._mirror)
            self._share_again_at = time.monotonic() + EVERY_SECONDS

    @contextmanager
    def met(self) -> Iterator[None]:
        """Within the block the log goes on from what there is; after it, it is there."""
        self.meet()
        try:
            yield
        finally:
            if self._mirror is not None and self._size_here:
                self._share(self._mirror)

    def _share(self, mirror: Mirror) -> None:
        with suppress(StoreError):
            mirror.share(self._path)

    @property
    def _size_here(self) -> int:
        return self._path.stat().st_size if self._path.is_file() else 0


class SharingChannel:
    """A run's channel that brings its log there with its checkpoints."""

    def __init__(self, channel: Channel, log: SharedLog) -> None:
        self._channel = channel
        self._log = log

    def stop_asked(self) -> bool:
        """Whether the driver asks for an end."""
        return self._channel.stop_asked()

    def is_superseded(self) -> bool:
        """Whether the run was begun anew elsewhere, so that nothing of this try counts."""
        return self._channel.is_superseded()

    def send(self, row: Mapping[str, float], checkpoint: Path | None) -> None:
        """Tell of a step; keep the sealed checkpoint before returning."""
        self._channel.send(row, checkpoint)
        if checkpoint is not None:
            self._log.share_now_and_then()
