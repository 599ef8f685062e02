"""What is known of a run: its artifact's history, or what it reported before it failed or stopped.

A run that is not done has told its steps to the study's journal alone, beyond those of the trunk
that it branched off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.training.curves import Curves, curves_of_history
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.documents import numbers, read_document
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.lines import LinesReader
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.references import Reference


class RunEnd(StrEnum):
    """How a run stands."""

    DONE = "done"
    FAILED = "FAILED"
    UNFINISHED = "not finished"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """A run of a study, and all that it left."""

    reference: Reference
    artifact: Artifact | None
    failure: Failure | None
    curves: Curves

    @property
    def end(self) -> RunEnd:
        """How it stands, by what it left."""
        if self.artifact is not None:
            return RunEnd.DONE
        if self.failure is not None:
            return RunEnd.FAILED
        return RunEnd.UNFINISHED if self.curves.epochs else RunEnd.NOT_RUN

    @property
    def has_news(self) -> bool:
        """Whether there is anything to report of it: steps, or why it failed."""
        return bool(self.curves.epochs) or self.failure is not None


def recorded_runs(
    results: ResultsPaths, study: StudyPaths, references: Iterable[Reference]
) -> list[RecordedRun]:
    """What is known of some runs, in their order.

    Raises:
        StoreError: a history or the record of a failure is damaged.
    """
    store, failures = ArtifactStore(results.store), FailureStore(results.store)
    found = [(one, store.intact(one.stage, one.key)) for one in references]
    told = _told_by_journal(study.events, {one.key for one, made in found if made is None})
    return [
        RecordedRun(
            reference=one,
            artifact=artifact,
            failure=None if artifact is not None else failures.get(one.stage, one.key),
            curves=curves_of_history(_history(store, one, artifact, told.get(one.key, {}))),
        )
        for one, artifact in found
    ]


def _history(
    store: ArtifactStore,
    one: Reference,
    artifact: Artifact | None,
    told: Mapping[int, Mapping[str, float]],
) -> list[Mapping[str, float]]:
    if artifact is not None:
        return list(artifact.history())
    trunk = None if one.trunk_key is None or not told else store.intact(one.stage, one.trunk_key)
    before = [] if trunk is None else trunk.history()
    by_step = {int(row["step"]): row for row in before}
    rows = {**by_step, **{step: {**row, "step": step} for step, row in told.items()}}
    return [rows[step] for step in sorted(rows)]


def _told_by_journal(path: Path, keys: set[str]) -> dict[str, dict[int, dict[str, float]]]:
    """The last report of each step of some runs, by key and step."""
    told: dict[str, dict[int, dict[str, float]]] = {}
    for entry in LinesReader(path).new() if keys else ():
        key, step = entry.get("key"), entry.get("step")
        if entry.get("event") == "run_reported" and key in keys and type(step) is int:
            told.setdefault(str(key), {})[step] = _metrics(entry.get("metrics"))
    return told


def _metrics(told: Any) -> dict[str, float]:
    try:
        return numbers(told)
    except ValueError:
        return {}


def settings_of(study: StudyPaths, reference: Reference) -> dict[str, Any]:
    """What a run's trial had set for its stage and those before it, as the study planned it.

    Raises:
        StoreError: a plan can't be read.
    """
    for path in (study.phase(reference.phase).plan, *study.trial_plans()):
        plan = read_document(path) or {}
        try:
            for trial in plan.get("trials", ()):
                if trial["name"] == reference.trial:
                    return _settings_up_to(trial, reference.stage)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise StoreError(f"{path} is not what was written; run the study again") from error
    return {}


def _settings_up_to(trial: Mapping[str, Any], stage: str) -> dict[str, Any]:
    chain = [str(run["stage"]) for run in trial["replicates"][0]["runs"]]
    until = chain[: chain.index(stage) + 1]
    return {n: value for n, value in trial["settings"].items() if n.partition(".")[0] in until}
