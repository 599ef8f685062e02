"""How often a run was begun in an attempt, how each try ended, and whether there is another.

Tune counts failures without their cause, so the count is kept here, in the attempt's folder. Who
executes a run marks each begin; a mark of a run that has no end, while nobody executes it, is a
death. A worker that dies by itself is tried again `max_failures` times, and a run that hangs once,
whatever `max_failures` says. A node that is lost is no fault of the run: that has ten more tries.
What a failure says follows from these rules alone and not from what else happened to the run: it
becomes part of the report.

A node that is cut off is lost too, but goes on by itself for a while. So the newest mark also says
whose checkpoints and results count; a worker that finds a newer one than its own keeps its to
itself. It may be so late that its successor has begun: so whoever sends a run elsewhere first
leaves word of the worker that is given up, which begins nothing any more.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from phasetune.run.ray.places import Place
from phasetune.run.request import RunRequest
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import commit, write_text
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.paths import run_folder
from phasetune.store.remote.mirror import bring, is_there

STALL_RETRIES = 1
NODE_RETRIES = 10
_BEGUN = "begun"
_ACTOR = re.compile(r"actor(?:_id:)? ([0-9a-f]{32})\b")


class Cause(StrEnum):
    """Why a worker died, as far as that is known."""

    WORKER_DIED = "worker_died"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_LOST = "node_lost"
    STALLED = "stalled"


_TOLD = {
    Cause.WORKER_DIED: "the worker died",
    Cause.OUT_OF_MEMORY: "the worker ran out of host memory",
    Cause.NODE_LOST: "its node was lost",
}
_WAY_OUT = {
    Cause.STALLED: "let it report, or raise stall_timeout_seconds",
    Cause.OUT_OF_MEMORY: "let it take less, or fewer runs at once (max_concurrent_trials)",
    Cause.NODE_LOST: "find out what ends the nodes",
}
_OWN_COUNT = {Cause.STALLED: STALL_RETRIES, Cause.NODE_LOST: NODE_RETRIES}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows from the deaths of a run: the last one's cause, how many tries count against
    that cause, and how many there are.
    """

    cause: Cause
    tried: int
    allowed: int

    @property
    def is_tried_again(self) -> bool:
        """Whether there is another try."""
        return self.tried < self.allowed


def verdict(deaths: Sequence[Cause], *, max_failures: int) -> Verdict:
    """What follows from the deaths of a run, of which there is at least one.

    Stalls and lost nodes are counted apart, each for itself.
    """
    cause = deaths[-1]
    allowed = 1 + _OWN_COUNT.get(cause, max_failures)
    same = [death == cause if cause in _OWN_COUNT else death not in _OWN_COUNT for death in deaths]
    tried = sum(same)
    # a worker that was to record the end may have died over it, which is no try
    return Verdict(cause=cause, tried=min(tried, allowed), allowed=allowed)


def most_deaths(*, runs: int, max_failures: int) -> int:
    """How often the worker of a job of some runs may die before all of them are given up."""
    return runs * (max_failures + 1 + STALL_RETRIES + NODE_RETRIES)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The begin of a try, by its number; of two with one number the later name is the newer."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name.partition("-")[0])


class Tries:
    """The tries of one run in one attempt."""

    def __init__(self, request: RunRequest, *, max_failures: int) -> None:
        self._request = request
        self._max_failures = max_failures
        self._folder = request.attempt / "tries" / run_folder(request.run.stage, request.run.key)

    def begin(self, place: Place) -> Mark | None:
        """Mark the begin of a try; or record the failure where there is none left.

        To be asked while nobody executes the run, as far as that is known. A worker that was given
        up learns so here, since the word of it is older than the marks of who came after it.

        Raises:
            StoreError: the mark or the record can't be written.
        """
        deaths = self.deaths()
        if is_there(_word(self._request, place.actor)):
            return None
        if deaths and not verdict(deaths, max_failures=self._max_failures).is_tried_again:
            self.give_up()
            return None
        return self._mark(len(deaths) + 1, place)

    def is_newest(self, mark: Mark) -> bool:
        """Whether no other try has begun since.

        Raises:
            StoreError: the results are at a URI that can't be reached.
        """
        bring(self._folder)
        return self._marks()[-1:] == [mark.path]

    def place(self) -> Place | None:
        """Where the newest try was begun whose end is not known; None where that is not known."""
        bring(self._folder)
        marks = self._marks()
        if not marks or self._words(self._newest) is not None:
            return None
        return Place.read(read_document(marks[-1]))

    def note_death(self, cause: Cause, words: str) -> Verdict:
        """Keep why the newest try ended; a stall is known by the traceback that it left.

        A worker that died before it could mark the begin counts too.

        Raises:
            StoreError: it can't be written.
        """
        bring(self._folder)
        if self._newest == 0 or self._words(self._newest) is not None:
            self._mark(self._newest + 1, None)
        if self.deaths()[-1] is not Cause.STALLED:
            write_text(self._path(self._newest, cause), words)
        return verdict(self.deaths(), max_failures=self._max_failures)

    def deaths(self) -> list[Cause]:
        """The cause of each death, in order.

        Raises:
            StoreError: the results are at a URI that can't be reached.
        """
        bring(self._folder)
        newest, stall = self._newest, self._request.stall_file
        if newest and _text(stall):
            commit(stall, self._path(newest, Cause.STALLED))
        return [self._cause(number) for number in range(1, newest + 1)]

    def told(self, cause: Cause) -> str:
        """A clause on a death, the same whenever and wherever it happens."""
        if cause is Cause.STALLED:
            return f"nothing was reported for {self._request.stall_timeout_seconds:g} s"
        return _TOLD[cause]

    def give_up(self) -> Failure:
        """Record the failure of a run that died for the last time.

        Raises:
            StoreError: it can't be written.
        """
        run, failures = self._request.run, FailureStore(self._request.paths.store)
        deaths = self.deaths() or [Cause.WORKER_DIED]
        last = verdict(deaths, max_failures=self._max_failures)
        clauses = [self.told(last.cause), _WAY_OUT.get(last.cause), _times(last.tried)]
        failure = Failure(
            stage=run.stage,
            key=run.key,
            cause=str(last.cause),
            message="; ".join(clause for clause in clauses if clause is not None),
        )
        failures.put(failure, self._words(self._newest) or "nothing is known of its end\n")
        return failure

    @property
    def _newest(self) -> int:
        return max((Mark(path=path).number for path in self._marks()), default=0)

    def _marks(self) -> list[Path]:
        return sorted(self._folder.glob(f"*-{_BEGUN}-*"))

    def _mark(self, number: int, place: Place | None) -> Mark:
        """Two workers that don't know of each other write two marks, and never over one."""
        mark = Mark(path=self._folder / f"{number:04d}-{_BEGUN}-{uuid.uuid4().hex[:12]}.json")
        write_document(mark.path, {} if place is None else place.content())
        return mark

    def _cause(self, number: int) -> Cause:
        known = (cause for cause in reversed(Cause) if self._path(number, cause).exists())
        return next(known, Cause.WORKER_DIED)

    def _words(self, number: int) -> str | None:
        path = self._path(number, self._cause(number))
        return _text(path) if path.exists() else None

    def _path(self, number: int, cause: Cause) -> Path:
        return self._folder / f"{number:04d}-{cause}.txt"


def give_worker_up(request: RunRequest, actor: str) -> None:
    """Leave word that a worker is to begin no run of an attempt any more.

    Raises:
        StoreError: it can't be written.
    """
    write_text(_word(request, actor), "")


def run_that_died(job: Sequence[RunRequest]) -> RunRequest | None:
    """The run of a job that was executed when its worker died: the first without an end, if any."""
    store, failures = ArtifactStore(job[0].paths.store), FailureStore(job[0].paths.store)
    unended = (
        request
        for request in job
        if store.intact(request.run.stage, request.run.key) is None
        and failures.get(request.run.stage, request.run.key) is None
    )
    return next(unended, None)


def cause_told(words: str) -> Cause:
    """What Ray's message on a dead worker says of the cause."""
    if "running low on memory" in words or "OutOfMemoryError" in words:
        return Cause.OUT_OF_MEMORY
    return Cause.NODE_LOST if "node has died" in words else Cause.WORKER_DIED


def actor_told(words: str) -> str | None:
    """The worker that Ray's message is about."""
    found = _ACTOR.search(words)
    return None if found is None else found[1]


def _word(request: RunRequest, actor: str) -> Path:
    return request.attempt / "tries" / f"given-up-{actor}"


def _times(tried: int) -> str:
    return f"tried {tried} time" + ("" if tried == 1 else "s")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
