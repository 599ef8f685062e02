"""Asks the driver of a study to end, by a document, from its machine and from others.

The document lies in the study's folder and names the driver that it is for, so one that comes later
never obeys it. A driver looks for it in a thread of its own and then does what SIGTERM does; but
who is asked twice is asked once, where a second signal would mean "at once". Who holds a study and
looks for nothing, as `phasetune sync` does, gets the signal, where it is of this machine.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Self

from phasetune.errors import StoreError
from phasetune.run.events import Listener, Noticed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.whereabouts import driver_of
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import withdraw
from phasetune.store.owner import Owner
from phasetune.store.paths import StudyPaths
from phasetune.store.remote.mirror import bring, is_there, mirror_of

EVERY_SECONDS = 1.0
EVERY_SECONDS_AT_A_URI = 5.0
_BETWEEN_SIGNALS_SECONDS = 2.0
_LONGEST_TAKE_SECONDS = 15.0
"""A driver that just came may still connect to its trackers."""
_POLL_SECONDS = 0.05
_POLL_TAKEN_SECONDS = 0.2
_LONGEST_LOOK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class StopRequest:
    """For which driver it is, whether that is to end at once, and who asks."""

    owner: Owner
    at_once: bool
    asked_by: str

    @classmethod
    def of_content(cls, content: dict[str, object]) -> Self | None:
        """What a document says; None where it is no request."""
        owner = Owner.of_content(json.dumps(content.get("owner")).encode())
        if owner is None:
            return None
        asked_by = str(content.get("asked_by", "somebody"))
        return cls(owner=owner, at_once=content.get("at_once") is True, asked_by=asked_by)


def ask_to_stop(paths: StudyPaths, owner: Owner, *, at_once: bool) -> None:
    """Ask the driver that the study's lock names to end; asking again changes nothing, but with
    `at_once` it waits for no checkpoint any more.

    Raises:
        StoreError: it belongs to somebody else, or the document can't be written.
    """
    if not owner.is_of_this_machine:
        _leave_request(paths, owner, at_once=at_once)
    elif not owner.is_gone and not _is_taken(paths, owner, at_once=at_once):
        _signal(owner, at_once=at_once)


def _is_taken(paths: StudyPaths, owner: Owner, *, at_once: bool) -> bool:
    """Leave a request to a process of this machine; whether it took it, or is gone."""
    try:
        _leave_request(paths, owner, at_once=at_once)
        until = time.monotonic() + _LONGEST_TAKE_SECONDS
        while not owner.is_gone and time.monotonic() < until:
            if not is_there(paths.stop_request):
                return True
            time.sleep(_POLL_TAKEN_SECONDS)
        withdraw(paths.stop_request)
    except StoreError:  # such as on a disk that is full
        return owner.is_gone
    return owner.is_gone


def _signal(owner: Owner, *, at_once: bool) -> None:
    _send_sigterm(owner)
    if at_once:
        until = time.monotonic() + _BETWEEN_SIGNALS_SECONDS
        while not owner.is_gone and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        _send_sigterm(owner)


def _send_sigterm(owner: Owner) -> None:
    """To that very process, and to none that got its number after it; nothing where it is gone."""
    try:
        with closing(_Process(owner.pid)) as process:
            if not owner.is_gone:
                process.send(signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StoreError(
            f"the driver ({owner}) belongs to another user; ask them, or type this as that user"
        ) from error


class _Process:
    """A hold on a process: its number is not used again as long as this is open."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def send(self, signum: signal.Signals) -> None:
        signal.pidfd_send_signal(self._descriptor, signum)

    def close(self) -> None:
        os.close(self._descriptor)


def _leave_request(paths: StudyPaths, owner: Owner, *, at_once: bool) -> None:
    here = Owner.of_this_process()
    content = {
        "schema": 1,
        "owner": asdict(owner),
        "at_once": at_once,
        "asked_by": f"pid {here.pid} on {here.host}",
        "asked": datetime.now(UTC).isoformat(),
    }
    write_document(paths.stop_request, content)


@contextmanager
def heeding(paths: StudyPaths, stop: StopSwitch, listener: Listener) -> Iterator[None]:
    """Within the block a request that names this driver asks for an end, as SIGTERM does; one that
    says the same again changes nothing.
    """
    heeder = _Heeder(paths, stop, listener)
    heeder.start()
    try:
        yield
    finally:
        heeder.end()


class _Heeder:
    """Looks for requests, in a thread that nothing in the study waits for."""

    def __init__(self, paths: StudyPaths, stop: StopSwitch, listener: Listener) -> None:
        self._paths = paths
        self._stop = stop
        self._listener = listener
        self._ended = threading.Event()
        self._has_asked = False
        self._has_asked_at_once = False
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """From here on no request is obeyed; storage that hangs is not waited for."""
        self._ended.set()
        self._thread.join(_LONGEST_LOOK_SECONDS)

    def _look_on(self) -> None:
        is_folder = mirror_of(self._paths.root) is None
        while not self._ended.wait(EVERY_SECONDS if is_folder else EVERY_SECONDS_AT_A_URI):
            with suppress(StoreError, OSError):  # who asks sees that nothing happens
                request = self._new_request()
                if request is not None:
                    self._obey(request)

    def _new_request(self) -> StopRequest | None:
        """The request to this driver; it is taken away, and so is one to a driver before it."""
        path = self._paths.stop_request
        if not is_there(path):
            return None
        owner = driver_of(self._paths)
        if owner is None or not _is_this_process(owner):
            return None  # the study is not this driver's yet
        bring(path)
        content = read_document(path) or {}
        withdraw(path)
        request = StopRequest.of_content(content)
        return request if request is not None and request.owner == owner else None

    def _obey(self, request: StopRequest) -> None:
        self._listener.notify(Noticed(message=f"asked to stop by {request.asked_by}"))
        if not self._has_asked and not self._stop.asked:
            self._has_asked = True
            self._ask()
        if request.at_once and not self._has_asked_at_once:
            self._has_asked_at_once = True
            while not self._stop.asked and not self._ended.wait(_POLL_SECONDS):
                pass  # two signals at one instant would be heard as one
            self._ask()

    def _ask(self) -> None:
        if not self._ended.is_set():
            self._stop.ask_as_signal(signal.SIGTERM)


def _is_this_process(owner: Owner) -> bool:
    return replace(Owner.of_this_process(), since=owner.since, command=owner.command) == owner
