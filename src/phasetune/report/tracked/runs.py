"""What is known of the runs of a trial: done with an artifact, failed, or neither yet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.times import minutes
from phasetune.report.tracked.live import Live
from phasetune.select.scores import chain_metrics
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.failures import FailureStore
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.contract import Series, Status

_KEPT_SERIES = 64


@dataclass(frozen=True, kw_only=True)
class RunTrace:
    """A run: its artifact, or why it failed, or neither."""

    stage: str
    key: str
    artifact: Artifact | None
    failure: str | None


@dataclass(frozen=True)
class Chain:
    """The runs of a replicate, each the parent of the next."""

    runs: Sequence[RunTrace]

    @property
    def is_done(self) -> bool:
        return all(run.artifact is not None for run in self.runs)

    @property
    def failure(self) -> str | None:
        """Why it failed; what comes after a run that failed is never executed."""
        found = (f"{run.stage}: {run.failure}" for run in self.runs if run.failure is not None)
        return next(found, None)

    @property
    def has_end(self) -> bool:
        return self.is_done or self.failure is not None

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final metrics of the runs that are done, as decisions name them."""
        return chain_metrics([(run.stage, _metrics(run)) for run in self.runs])

    @cached_property
    def minutes(self) -> dict[str, float]:
        """`<stage>_time_min` of the runs that are done, `total_time_min` when all are."""
        return minutes([(run.stage, run.artifact) for run in self.runs])

    def status(self, *, is_active: bool) -> Status:
        """How far it is; `is_active` where a driver works on it now."""
        return status_of([self], is_active=is_active)


def status_of(chains: Sequence[Chain], *, is_active: bool) -> Status:
    """How far the replicates of a trial are, together."""
    if all(chain.has_end for chain in chains):
        return Status.FAILED if any(chain.failure for chain in chains) else Status.FINISHED
    return Status.RUNNING if is_active else Status.KILLED


class RunTraces:
    """Looks runs up in the store, and in what is live."""

    def __init__(self, paths: ResultsPaths, live: Live) -> None:
        self._artifacts = ArtifactStore(paths.store)
        self._failures = FailureStore(paths.store)
        self._live = live
        self._series: dict[str, Series | None] = {}
        self._traces: dict[str, RunTrace] = {}

    def look_again(self) -> None:
        """Look into the store anew; until then a run that trials share is looked up once."""
        self._traces.clear()

    def chain(self, runs: Sequence[Mapping[str, Any]]) -> Chain:
        """The runs of a replicate, as its plan names them."""
        return Chain([self._trace(run["stage"], run["key"]) for run in runs])

    def has_end(self, runs: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a replicate is done or failed; looks no further than to the first run that is
        neither.
        """
        for run in runs:
            trace = self._trace(run["stage"], run["key"])
            if trace.artifact is None:
                return trace.failure is not None
        return True

    def series(self, chain: Chain, *, is_first: Mapping[str, bool]) -> Iterator[Series]:
        """What each run reported: of one that is not done where this trial is the first that asks
        for it.
        """
        for run in chain.runs:
            found = self._of_artifact(run)
            if found is None and is_first.get(run.key, False):
                found = self._live.series(run.stage, run.key)
            if found is not None:
                yield found

    def times(self, chain: Chain) -> tuple[float | None, float | None]:
        """When its first run started, and its last one ended or was heard of last, in seconds since
        1970.
        """
        spans = [self._span(run) for run in chain.runs]
        started = [start for start, _ in spans if start is not None]
        ended = [end for _, end in spans if end is not None]
        return min(started, default=None), max(ended, default=None)

    def _trace(self, stage: str, key: str) -> RunTrace:
        if key not in self._traces:
            self._traces[key] = self._looked_up(stage, key)
        return self._traces[key]

    def _looked_up(self, stage: str, key: str) -> RunTrace:
        artifact = self._artifacts.intact(stage, key)
        failure = None if artifact is not None else self._failure(stage, key)
        return RunTrace(stage=stage, key=key, artifact=artifact, failure=failure)

    def _failure(self, stage: str, key: str) -> str | None:
        with suppress(StoreError):
            found = self._failures.get(stage, key)
            return None if found is None else found.message
        return None

    def _of_artifact(self, run: RunTrace) -> Series | None:
        if run.artifact is None:
            return None
        if run.key not in self._series:
            if len(self._series) >= _KEPT_SERIES:
                del self._series[next(iter(self._series))]
            self._series[run.key] = _history(run.artifact)
        return self._series[run.key]

    def _span(self, run: RunTrace) -> tuple[float | None, float | None]:
        if run.artifact is None:
            return self._live.span(run.key)
        return _span(run.artifact)


def _history(artifact: Artifact) -> Series | None:
    """What an artifact keeps of its run, with times spread over it; None where that is nothing."""
    with suppress(StoreError):
        rows = {int(row["step"]): row for row in artifact.history()}
        started, ended = _span(artifact)
        steps = sorted(rows)
        return Series(
            stage=artifact.stage,
            steps=steps,
            metrics=[{k: v for k, v in rows[step].items() if k != "step"} for step in steps],
            times=_spread(started or 0.0, ended or 0.0, count=len(steps)),
        )
    return None


def _spread(started: float, ended: float, *, count: int) -> list[float]:
    return [started + (ended - started) * number / count for number in range(1, count + 1)]


def _span(artifact: Artifact) -> tuple[float | None, float | None]:
    started = seconds_of(artifact.manifest["provenance"].get("started"))
    return started, None if started is None else started + artifact.duration_seconds


def seconds_of(moment: Any) -> float | None:
    """A moment as documents write it, in seconds since 1970; None where it is none."""
    try:
        found = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _metrics(run: RunTrace) -> dict[str, float]:
    return {} if run.artifact is None else run.artifact.metrics
