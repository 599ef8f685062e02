"""What is done about the disk while a study runs.

Before a wave its plan is kept, so that what it computes is referred to from the start. After it the
resume checkpoints of runs that are done go. Where the study has a budget, or the disk is nearly
full, more goes, before a wave and after each run, as `budget` says; where that is not enough, no
further wave starts.

Of results at a URI nobody knows how much room there is, so there only the budget counts. What fills
is the disk of this machine's mirror: before a wave its copies go, which can be brought again.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.run.budget import counted, is_scarce, needed_bytes, protected_paths, to_remove
from phasetune.run.events import Listener, Noticed
from phasetune.run.request import RunRequest
from phasetune.store.artifacts import CHECKPOINTS, MANIFEST, ArtifactStore
from phasetune.store.costs import mean_size, runs_to_execute
from phasetune.store.documents import write_document
from phasetune.store.durable import remove
from phasetune.store.failures import FailureStore
from phasetune.store.inventory import CheckpointKind, CheckpointRow, study_checkpoints
from phasetune.store.paths import ResultsPaths, shown_path
from phasetune.store.references import Reference, all_references, phase_references
from phasetune.store.remote.mirror import bring_documents, folders_like, mirror_of
from phasetune.store.resume import DoneRuns, resume_checkpoints, verifies
from phasetune.store.space import GIB, DiskSpace, disk_free, size_bytes, size_text
from phasetune.study.schema import Study

_MOST_NAMED = 5


class Upkeep:
    """Keeps a study within its budget and its disk; `in_flight` runs at most are executed at once.

    A file that vanished meanwhile is none of its business: it never fails because of one.
    """

    def __init__(
        self,
        study: Study,
        paths: ResultsPaths,
        *,
        listener: Listener,
        in_flight: int,
        space: Callable[[Path], DiskSpace] = disk_free,
    ) -> None:
        self._study = study
        self._paths = paths
        self._study_paths = paths.study(study.name)
        self._listener = listener
        self._in_flight = in_flight
        self._space = space
        self._store = ArtifactStore(paths.store)
        self._mirror = mirror_of(paths.root)
        self._told: set[str] = set()
        self._room_bytes = 0
        self._plan: tuple[Path, Mapping[str, Any]] | None = None
        self._may_win: Callable[[], Collection[str]] = frozenset
        self._attempt: Path | None = None

    def plan(
        self, path: Path, record: Mapping[str, Any], *, may_win: Callable[[], Collection[str]]
    ) -> None:
        """Keep this plan where a run of it is executed; `may_win` names those of its trials that
        a winner may still be, which are as safe as one.

        Raises:
            StoreError: what its missing runs are known to leave is more than the disk has room for.
        """
        self._plan, self._may_win = (path, record), may_win
        self._refuse_more_than_fits(record)

    def before_wave(self, wave: Sequence[RunRequest]) -> None:
        """Keep the plan, and make room.

        Raises:
            StoreError: there is too little room on the disk.
        """
        if self._plan is not None:
            write_document(*self._plan)
        if self._mirror is not None and is_scarce(self._space(self._paths.root)):
            self._mirror.let_go()
        self._make_room()
        if is_scarce(self._space(self._paths.root)):
            self._refuse_without_room(len(wave))
        self._attempt = wave[0].attempt

    def after_run(self, request: RunRequest) -> None:
        """Make room where what a run left may have filled it."""
        scarce = self._is_scarce()
        if not scarce and self._budget_bytes is None:
            return
        left = self._bytes_of(request)
        self._room_bytes -= left
        if left and (scarce or self._room_bytes < 0):
            self._make_room()

    def after_wave(self) -> None:
        """Remove the resume checkpoints of runs that are done."""
        self._attempt = None
        with suppress(StoreError):
            found = resume_checkpoints(self._study_paths)
            done = DoneRuns(self._store, self._references() if found else ())
            self._remove([checkpoint.path for checkpoint in found if done.has(checkpoint)])

    @property
    def _budget_bytes(self) -> int | None:
        gib = self._study.max_checkpoint_gib
        return None if gib is None else int(gib * GIB)

    def _is_scarce(self) -> bool:
        """Whether the disk that the results lie on is nearly full; of a URI it is not known."""
        return self._mirror is None and is_scarce(self._space(self._paths.root))

    def _make_room(self) -> None:
        scarce, budget = self._is_scarce(), self._budget_bytes
        if not scarce and budget is None:
            return
        try:
            left = self._prune(0 if scarce else budget or 0)
        except StoreError as error:
            self._tell(f"warning: no checkpoint is removed to make room: {error}")
            return
        if scarce:
            self._tell_scarce()
        if budget is not None:
            self._room_bytes = budget - left
            self._tell_too_small(budget, left)

    def _prune(self, max_bytes: int) -> int:
        """Remove what goes; returns how many bytes stay."""
        rows = [row for row in counted(self._rows()) if not self._goes_after_wave(row)]
        protected = protected_paths(rows, study=self._study.name)
        chosen = to_remove(rows, max_bytes=max_bytes, protected=protected)
        going = [row for row in chosen if _is_spare(row, rows)]
        self._remove([row.path for row in going])
        return sum(row.size_bytes for row in rows) - sum(row.size_bytes for row in going)

    def _goes_after_wave(self, row: CheckpointRow) -> bool:
        """Tune must find what it knows of until its wave is over, also of runs that are done."""
        return row.is_done and self._attempt in row.path.parents

    def _references(self) -> list[Reference]:
        phases = [phase.name for phase in self._study.phases]
        found = phase_references(self._study_paths, phases)
        running = None if self._plan is None else self._plan[1]["phase"]
        hopeful = self._may_win() if running is not None else ()
        return [
            replace(used, is_winning=True)
            if used.phase == running and used.trial in hopeful
            else used
            for used in found
        ]

    def _rows(self) -> list[CheckpointRow]:
        """The study's checkpoints; each names every study that refers to it."""
        own, name = self._references(), self._study.name
        shared = {identity for used in own for identity in (used.key, used.trunk)} - {None}
        others = [
            used
            for used in all_references(self._paths, besides=name)
            if shared & {used.key, used.trunk}
        ]
        rows = study_checkpoints(self._paths, [self._study_paths], [*own, *others])
        return [row for row in rows if name in row.studies]

    def _bytes_of(self, request: RunRequest) -> int:
        run = request.run
        trunk = [] if run.trunk is None else [self._store.folder(run.stage, run.trunk.key)]
        kept = self._store.folder(run.stage, run.key) / CHECKPOINTS
        bring_documents(request.folder)
        resumes = folders_like(request.folder, "checkpoint_*")
        return sum(size_bytes(path) for path in (*resumes, kept, *trunk))

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            with suppress(OSError):
                remove(path)

    def _refuse_more_than_fits(self, plan: Mapping[str, Any]) -> None:
        """Not where removing checkpoints would help: that is done when it comes to it."""
        if self._mirror is not None:  # what they leave there has a place that is not this disk
            return
        failures = FailureStore(self._paths.store)
        missing = runs_to_execute(plan, self._store, failures)
        if not missing:
            return
        space, need = self._space(self._paths.root), self._least_bytes(missing)
        if space.free >= need or space.free + self._spare_bytes() >= need:
            return
        wanted = (
            f"the {len(missing)} runs to execute in phase {plan['phase']} leave about "
            f"{size_text(need)}, by the mean of what is stored; none of them was started"
        )
        raise StoreError([f"{self._usage(space)}, but {wanted}", *self._ways_out()])

    def _least_bytes(self, missing: Mapping[tuple[str, str], str]) -> int:
        """What runs are known to leave that nothing removes again, and hold while in flight."""
        counts = Counter((stage, function) for (stage, _), function in missing.items())
        sizes = [(count, mean_size(self._store, *of)) for of, count in counts.items()]
        left = sum(count * size.artifact for count, size in sizes if size is not None)
        held = [found.size_bytes for found in resume_checkpoints(self._study_paths)]
        return round(left) + max(held, default=0) * min(len(missing), self._in_flight)

    def _spare_bytes(self) -> int:
        """What checkpoints hold that nothing needs; nothing is removed while that is not known."""
        try:
            rows = counted(self._rows())
        except StoreError:
            return 0
        protected = protected_paths(rows, study=self._study.name)
        return sum(row.size_bytes for row in to_remove(rows, max_bytes=0, protected=protected))

    def _refuse_without_room(self, num_runs: int) -> None:
        space, in_flight = self._space(self._paths.root), min(num_runs, self._in_flight)
        need = needed_bytes(self._sizes(), in_flight=in_flight)
        if space.free >= need:
            return
        wanted = (
            f"the next wave of runs needs about {size_text(need)}; checkpoints that nothing needs "
            "were removed"
        )
        raise StoreError([f"{self._usage(space)}, but {wanted}", *self._ways_out()])

    def _usage(self, space: DiskSpace) -> str:
        free, total = size_text(space.free), size_text(space.total)
        held = "" if self._mirror is None else f", the mirror of {self._mirror.uri}"
        return f"the disk that holds {self._paths.root}{held} has {free} of {total} free"

    def _ways_out(self) -> tuple[str, str]:
        root = self._paths.shown
        if self._mirror is not None:
            way_out = "make room there, or name a folder on a larger disk by PHASETUNE_CACHE"
            return f"the largest artifacts: {self._largest()}", way_out
        way_out = (
            f"see what is kept and why with `phasetune checkpoints {root}`, remove what no study "
            f"refers to with `phasetune gc {root}`, then run again"
        )
        return f"the largest artifacts: {self._largest()}", way_out

    def _sizes(self) -> list[int]:
        """What each artifact and each resume checkpoint of the study takes."""
        folders = {self._store.folder(used.stage, used.key) for used in self._references()}
        resumes = [checkpoint.size_bytes for checkpoint in resume_checkpoints(self._study_paths)]
        return [*resumes, *(size_bytes(folder) for folder in folders)]

    def _largest(self) -> str:
        """The largest artifacts of all studies, with their sizes."""
        folders = [path.parent for path in self._store.root.glob(f"*/*/{MANIFEST}")]
        found = [(size_bytes(folder), folder) for folder in folders]
        named = sorted(found, key=lambda entry: (-entry[0], entry[1]))[:_MOST_NAMED]
        return (
            ", ".join(f"{shown_path(path)} ({size_text(size)})" for size, path in named)
            or "none yet"
        )

    def _tell_scarce(self) -> None:
        self._tell(
            f"warning: less than 10% of the disk that holds {self._paths.root} is free; "
            "checkpoints that nothing needs are removed"
        )

    def _tell_too_small(self, budget: int, left: int) -> None:
        if left <= budget:
            return
        self._tell(
            f"warning: max_checkpoint_gib allows {size_text(budget)}, but what must stay takes "
            f"{size_text(left)}: what unfinished runs go on from, what winners came from, and what "
            "other studies refer to; allow more",
            once="max_checkpoint_gib",
        )

    def _tell(self, message: str, *, once: str | None = None) -> None:
        if (once or message) not in self._told:
            self._told.add(once or message)
            self._listener.notify(Noticed(message=message))


def _is_spare(row: CheckpointRow, rows: Sequence[CheckpointRow]) -> bool:
    """Whether a run does without a checkpoint: it is done, or a newer one of it verifies.

    A kill in the middle of copying may have left a newest one that only looks whole.
    """
    if row.kind is not CheckpointKind.RESUME or row.is_done:
        return True
    of_run = (row.stage, row.key)
    newest = [other for other in rows if other.is_needed and (other.stage, other.key) == of_run]
    return all(verifies(other.path) for other in newest)
