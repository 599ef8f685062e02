"""The decided phases of a study: plan, decision, and which runs earlier phases have as well."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from phasetune.report.document import kept_study
from phasetune.report.kept import kept_decision, kept_plan
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.paths import PhasePaths, ResultsPaths, StudyPaths


@dataclass(frozen=True)
class DecidedPhase:
    """A phase that has a plan and a decision."""

    study: StudyPaths
    plan: Mapping[str, Any]
    decision: Mapping[str, Any]

    @property
    def trials(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self.plan["trials"]
        return found

    def is_reused(self, run: Mapping[str, Any], artifact: Artifact) -> bool:
        """Whether a run that is done was computed by another study, or for an earlier phase."""
        by = artifact.manifest["provenance"].get("study")
        return by != self.study.root.name or run["key"] in self._earlier

    @cached_property
    def _earlier(self) -> frozenset[str]:
        """The keys of the runs of earlier phases."""
        plans = [kept_plan(PhasePaths(root)) for root in self.study.root.glob("phases/*")]
        before = [plan for plan in plans if plan and plan["index"] < self.plan["index"]]
        return frozenset(run["key"] for p in before for trial in p["trials"] for run in runs(trial))


def phase_paths(study: StudyPaths) -> list[PhasePaths]:
    """Where the phases of the study as it was last run lie, in order."""
    return [study.phase(phase.name) for phase in kept_study(study).phases]


def decided_phases(study: StudyPaths) -> Iterator[DecidedPhase]:
    """The decided phases of the study, in order.

    Raises:
        StoreError: a plan or a decision is damaged.
    """
    found = (decided_phase(study, paths) for paths in phase_paths(study))
    return (phase for phase in found if phase is not None)


def decided_phase(study: StudyPaths, paths: PhasePaths) -> DecidedPhase | None:
    """The phase that lies there, where it is decided.

    Raises:
        StoreError: its plan or its decision is damaged.
    """
    plan, decision = kept_plan(paths), kept_decision(paths)
    return None if plan is None or decision is None else DecidedPhase(study, plan, decision)


def runs(trial: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The runs of a trial's replicates, one after the other."""
    return (run for replicate in trial["replicates"] for run in replicate["runs"])


class Stored:
    """What the store of a results root has of runs."""

    def __init__(self, results: Path) -> None:
        store = ResultsPaths(results).store
        self._artifacts = ArtifactStore(store)
        self._failures = FailureStore(store)

    def artifact(self, run: Mapping[str, Any]) -> Artifact | None:
        """The run's artifact, where it is done."""
        return self._artifacts.intact(run["stage"], run["key"])

    def failure(self, run: Mapping[str, Any]) -> Failure | None:
        """Why the run failed, where it did."""
        return self._failures.get(run["stage"], run["key"])
