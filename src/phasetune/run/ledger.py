"""What is known of each run of a study: done, failed, or still to do. Read from the store."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from phasetune.errors import StoreError
from phasetune.plan.trial import Run
from phasetune.run.events import Listener, Noticed
from phasetune.run.request import RunState
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.mirror import refreshed


class Ledger:
    """States of runs; remembers artifacts that it has seen, since published ones don't change."""

    def __init__(self, paths: ResultsPaths, listener: Listener) -> None:
        self.artifacts = ArtifactStore(paths.store)
        self.failures = FailureStore(paths.store)
        self._listener = listener
        self._seen: dict[str, Artifact] = {}
        self._verified: set[str] = set()

    def artifact(self, run: Run) -> Artifact | None:
        """The run's artifact; a damaged one is set aside, and the run is to be done again."""
        if run.key not in self._seen:
            found = self._intact(run)
            if found is None:
                return None
            self._seen[run.key] = found
        return self._seen[run.key]

    def failure(self, run: Run) -> Failure | None:
        """The run's own failure, or None."""
        return self.failures.get(run.stage, run.key)

    def states(self, runs: Iterable[Run]) -> dict[str, RunState]:
        """The state of each run by key; parents come before children."""
        found: dict[str, RunState] = {}
        with refreshed(self.artifacts.root):
            for run in runs:
                found[run.key] = self._state(run, found)
        return found

    def _state(self, run: Run, known: Mapping[str, RunState]) -> RunState:
        if self.artifact(run) is not None:
            return RunState.DONE
        if self.failure(run) is not None:
            return RunState.FAILED
        parent = known.get(run.parent) if run.parent is not None else None
        lost = parent in (RunState.FAILED, RunState.NOT_RUN)
        return RunState.NOT_RUN if lost else RunState.PENDING

    def forget_failures(self, runs: Iterable[Run]) -> None:
        """Let failed runs be tried again."""
        for run in runs:
            self.failures.forget(run.stage, run.key)
            if run.trunk is not None:
                self.failures.forget_trunk(run.stage, run.trunk.id)

    def set_aside_other_environments(
        self,
        runs: Iterable[Run],
        environments_of: Callable[[Run], Collection[Mapping[str, Any]]],
    ) -> None:
        """Set aside what was computed in an environment class that it would not be computed in now,
        and what came from it.
        """
        gone: set[str] = set()
        for run in runs:
            found = self.artifact(run)
            if found is None:
                continue
            if found.environment not in environments_of(run) or run.parent in gone:
                self.artifacts.set_aside(run.stage, run.key, reason="environment")
                del self._seen[run.key]
                gone.add(run.key)

    def is_intact(self, run: Run) -> bool:
        """Whether every byte of a run's artifact is as published; else it is set aside."""
        artifact = self.artifact(run)
        if artifact is None or run.key in self._verified:
            return artifact is not None
        try:
            artifact.verify()
        except StoreError as error:
            self._set_aside(run, error)
            return False
        self._verified.add(run.key)
        return True

    def _intact(self, run: Run) -> Artifact | None:
        folder = self.artifacts.folder(run.stage, run.key)
        try:
            found = self.artifacts.get(run.stage, run.key)
            if found is None and folder.exists():
                raise StoreError(f"{folder} has no manifest as it was published")
        except StoreError as error:
            self._set_aside(run, error)
            return None
        return found

    def _set_aside(self, run: Run, error: StoreError) -> None:
        kept = self.artifacts.set_aside(run.stage, run.key, reason="damaged")
        self._seen.pop(run.key, None)
        message = f"{error}; it was moved to {kept} and is computed again"
        self._listener.notify(Noticed(message=message))
