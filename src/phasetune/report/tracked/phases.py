"""A phase as it stands on disk, its plan and its decision, and the record that tells of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from phasetune.report.kept import kept_decision, kept_plan
from phasetune.report.tracked.trials import phase_id, trial_id
from phasetune.select.decide import Outcome
from phasetune.select.words import decision_sentences
from phasetune.store.documents import read_document
from phasetune.store.masking import masked
from phasetune.store.paths import PhasePaths, StudyPaths
from phasetune.study.schema import FINAL
from phasetune.tracking.contract import Record, Status

STUDY = "study"


@dataclass(frozen=True, kw_only=True)
class PhaseTrace:
    """A phase: its trials by the ids of their records, its decision, and what the final came to;
    `end` is the file that says it.
    """

    name: str
    paths: PhasePaths
    end: Path
    trials: Mapping[str, Mapping[str, Any]]
    decision: Mapping[str, Any] | None
    final: Mapping[str, Any] | None

    @property
    def has_end(self) -> bool:
        return self.decision is not None or self.final is not None

    @property
    def is_failed(self) -> bool:
        """Whether it came to nothing: no trial could be judged, or the last winner failed."""
        if self.decision is not None:
            return bool(self.decision["outcome"] == Outcome.NONE_ELIGIBLE)
        return self.final is not None and self.final["state"] != "done"

    def verdict(self, trial: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """How a trial stands in the decision; None where it does not."""
        return self._verdicts.get(trial["key"])

    @cached_property
    def _verdicts(self) -> dict[str, Mapping[str, Any]]:
        verdicts = [] if self.decision is None else self.decision["trials"]
        return {found["key"]: found for found in verdicts}

    def is_winner(self, trial: Mapping[str, Any]) -> bool:
        """Whether the decision picked this trial."""
        return self.decision is not None and self.decision["winner"] == trial["name"]


def phase_trace(study: StudyPaths, name: str, final: Mapping[str, Any] | None) -> PhaseTrace | None:
    """The phase of this name; None where nothing of it was planned yet.

    `final` is what came of the last winner, for the phase of that name.

    Raises:
        StoreError: its plan or its decision is damaged.
    """
    paths = study.phase(name)
    trials = {trial_id(trial): trial for trial in _planned(paths)}
    if not trials:
        return None
    return PhaseTrace(
        name=name,
        paths=paths,
        end=study.final if name == FINAL else paths.decision,
        trials=trials,
        decision=None if name == FINAL else kept_decision(paths),
        final=final if name == FINAL else None,
    )


def phase_signature(study: StudyPaths, name: str) -> tuple[object, ...]:
    """Other than it was whenever something of the phase was written anew."""
    paths = study.phase(name)
    files = [paths.plan, paths.decision, *_trial_plans(paths)]
    if name == FINAL:
        files.append(study.final)
    return tuple(file_signature(path) for path in files)


def phase_record(phase: PhaseTrace, *, undecided: Status) -> Record:
    """The record of a phase; `undecided` is how far it is where nothing was decided."""
    ended = Status.FAILED if phase.is_failed else Status.FINISHED
    decision = phase.decision
    sentences = [] if decision is None else decision_sentences(decision)
    return Record(
        id=phase_id(phase.name),
        parent=STUDY,
        kind="phase",
        name=phase.name,
        status=ended if phase.has_end else undecided,
        started=_written(phase.paths.plan),
        ended=_written(phase.end) if phase.has_end else None,
        tags={
            "phase": phase.name,
            "outcome": "" if decision is None else str(decision["outcome"]),
            "winner": "" if decision is None else str(decision["winner"] or ""),
            "note": masked(" ".join(sentences)),
            "superseded": "false",
        },
        metrics=_metrics(phase),
        artifacts={} if decision is None else {"decision.json": phase.paths.decision},
    )


def _metrics(phase: PhaseTrace) -> dict[str, float]:
    """The winner's means; of the final the test scores."""
    if phase.final is not None:
        return _numbers(phase.final["test"] or {})
    won = (trial for trial in phase.trials.values() if phase.is_winner(trial))
    verdict = next((phase.verdict(trial) for trial in won), None)
    return {} if verdict is None else means(verdict["metrics"])


def means(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Of each metric in a decision its mean over replicates."""
    return _numbers({name: summary["mean"] for name, summary in metrics.items()})


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Documents write numbers that JSON does not have as text."""
    return {name: float(value) for name, value in metrics.items()}


def _planned(paths: PhasePaths) -> Iterator[Mapping[str, Any]]:
    """Trials of the phase's plan, and those that were run alone since it was decided."""
    plan = kept_plan(paths)
    yield from () if plan is None else plan["trials"]
    for path in _trial_plans(paths):
        yield from (read_document(path) or {}).get("trials", ())


def _trial_plans(paths: PhasePaths) -> list[Path]:
    return sorted(paths.root.glob("plan-*.json"))


def _written(path: Path) -> float | None:
    """When a file was last written, in seconds since 1970."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def file_signature(path: Path) -> tuple[object, ...] | None:
    """Other than it was when a file was written anew; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return path.name, found.st_ino, found.st_size, found.st_mtime_ns
