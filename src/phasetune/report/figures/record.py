"""What figures are made of, read once: plans, decisions, the final model, artifacts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.report.document import kept_study, report_document
from phasetune.report.kept import kept_plan
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.paths import ResultsPaths, StudyPaths

FINAL = "final model"
"""Stands for a phase where runs belong to none; no phase can have this name."""

RunId = tuple[str, str]
"""Stage and key."""


@dataclass(frozen=True, kw_only=True)
class UsedRun:
    """A run as a plan says it; `trunk` is the key of the trunk that it branches off at a step."""

    stage: str
    key: str
    trunk: str | None = None
    trunk_id: str | None = None
    trunk_step: int = 0

    @property
    def id(self) -> RunId:
        return self.stage, self.key


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial and the chain of runs of each of its replicates."""

    phase: str
    name: str
    is_winner: bool
    chains: tuple[tuple[UsedRun, ...], ...]

    @property
    def runs(self) -> tuple[UsedRun, ...]:
        """Each of its runs once."""
        return tuple({run.id: run for chain in self.chains for run in chain}.values())


@dataclass(frozen=True, kw_only=True)
class FiguredStudy:
    """A study as far as it got; `artifacts` holds what is whole in the store, trunks included."""

    name: str
    metric: str
    mode: str
    phases: tuple[str, ...]
    decisions: tuple[Mapping[str, Any], ...]
    trials: tuple[PlannedTrial, ...]
    final: Mapping[str, Any] | None
    artifacts: Mapping[RunId, Artifact]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages in the order of the longest chain."""
        chains = [chain for trial in self.trials for chain in trial.chains]
        return tuple(run.stage for run in max(chains, key=len, default=()))

    def trials_of(self, phase: str) -> list[PlannedTrial]:
        """The trials of a phase in file order."""
        return [trial for trial in self.trials if trial.phase == phase]


def read_study(results: Path, paths: StudyPaths) -> FiguredStudy:
    """Read what a study left.

    Raises:
        StoreError: there is no study, or a document of it can't be read.
    """
    study, report = kept_study(paths), report_document(paths)
    winners = {record["phase"]: record["winner"] for record in report["phases"]}
    trials = [
        _trial(trial, winner=winners.get(phase.name))
        for phase in study.phases
        for trial in (kept_plan(paths.phase(phase.name)) or {"trials": []})["trials"]
    ]
    final = report["final"]
    trials += _final_trials(final)
    return FiguredStudy(
        name=study.name,
        metric=study.objective.metric,
        mode=study.objective.mode,
        phases=tuple(phase.name for phase in study.phases),
        decisions=tuple(report["phases"]),
        trials=tuple(trials),
        final=final,
        artifacts=dict(_artifacts(ArtifactStore(ResultsPaths(results).store), trials)),
    )


def _trial(trial: Mapping[str, Any], *, winner: str | None) -> PlannedTrial:
    return PlannedTrial(
        phase=trial["phase"],
        name=trial["name"],
        is_winner=trial["name"] == winner,
        chains=tuple(tuple(map(_run, each["runs"])) for each in trial["replicates"]),
    )


def _run(run: Mapping[str, Any]) -> UsedRun:
    trunk = run.get("trunk")
    if not isinstance(trunk, Mapping):
        return UsedRun(stage=run["stage"], key=run["key"])
    identity, step = str(trunk["id"]), int(trunk["step"])
    return UsedRun(
        stage=run["stage"],
        key=run["key"],
        trunk=f"{identity}-{step:06d}",
        trunk_id=identity,
        trunk_step=step,
    )


def _final_trials(final: Mapping[str, Any] | None) -> list[PlannedTrial]:
    """The final model as a trial of its own, after all phases."""
    runs = () if final is None else tuple(map(_run, final.get("runs", ())))
    if not runs:
        return []
    name = "trained on all data" if (final or {}).get("refitted") else "the winner's own"
    return [PlannedTrial(phase=FINAL, name=name, is_winner=False, chains=(runs,))]


def _artifacts(
    store: ArtifactStore, trials: list[PlannedTrial]
) -> Iterator[tuple[RunId, Artifact]]:
    """Of each distinct run and trunk, where it is whole."""
    used = {run.id: run for trial in trials for run in trial.runs}
    trunks = {(run.stage, run.trunk) for run in used.values() if run.trunk is not None}
    for stage, key in dict.fromkeys([*used, *sorted(trunks)]):
        found = store.intact(stage, key)
        if found is not None:
            yield (stage, key), found
