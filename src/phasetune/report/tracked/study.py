"""A study as records: itself, its phases, their trials, and what of them changed.

Everything comes from what the study left on disk, but for runs that have no artifact yet, whose
rows come from the journal. A phase is built anew when its plan or decision was written anew;
otherwise only those of its trials that ask for a run that something happened to.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from phasetune.report.document import kept_study, report_document
from phasetune.report.tracked.commands import Commands, kept_commands, spent_minutes
from phasetune.report.tracked.live import Live
from phasetune.report.tracked.phases import (
    STUDY,
    PhaseTrace,
    file_signature,
    means,
    phase_record,
    phase_signature,
    phase_trace,
)
from phasetune.report.tracked.runs import Chain, RunTraces
from phasetune.report.tracked.trials import TrialTrace, trial_records
from phasetune.select.words import decision_sentences
from phasetune.store.masking import masked
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.schema import FINAL, Study
from phasetune.tracking.contract import Record, Status
from phasetune.tracking.memory import Remembered

Known = Mapping[str, Remembered]
"""The records that a tracker was told, by id."""


class TrackedStudy:
    """Builds the records of a study; `live` is what the journal says of it.

    `resting` is how far that is which has no end: RUNNING while a driver works on it, else KILLED,
    or FINISHED for a study that was asked to do no more. Building may raise StoreError, where the
    study or a document of it is damaged.
    """

    def __init__(self, paths: ResultsPaths, study: StudyPaths, live: Live) -> None:
        self._paths = paths
        self._study_paths = study
        self._live = live
        self._traces = RunTraces(paths, live)
        self._study: Study | None = None
        self._kept: object = None
        self._signatures: dict[str, tuple[object, ...]] = {}
        self._phases: dict[str, PhaseTrace] = {}
        self._first: dict[str, str] = {}
        self._users: dict[str, list[tuple[str, str]]] = {}
        self._commands = Commands()
        self._report: Mapping[str, Any] = {}
        self.resting = Status.RUNNING

    def changed(
        self, runs: Collection[str], known: Known, *, ended: Collection[str] = ()
    ) -> list[Record]:
        """What may have changed since the last call, parents before children; `runs` are the keys
        of those that something happened to, of which some `ended`.

        What a run reports is told by the first trial that asks for it alone, its end by all.
        """
        self._traces.look_again()
        changed = self._refresh()
        found = [self._study_record(self._study)] if changed and self._study is not None else []
        for name in changed:
            found += self._phase_records(self._phases[name], known)
        touched = [
            user for key in runs for user in self._users.get(key, ())[: None if key in ended else 1]
        ]
        for phase, trial in dict.fromkeys(touched):
            if phase not in changed:
                found += self._trial_records(self._phases[phase], trial, known)
        return found

    def everything(self, known: Known) -> list[Record]:
        """All records, and those of trials and phases that the study has no more."""
        self._signatures.clear()
        found = self.changed((), known)
        ids = {record.id for record in found}
        gone = [(name, told) for name, told in known.items() if name not in ids]
        return [*found, *(_superseded(name, told) for name, told in gone)] if found else []

    def knows(self, run: str) -> bool:
        """Whether a trial asks for this run, as far as plans were kept."""
        return run in self._users

    def _refresh(self) -> list[str]:
        """Read what was written anew; returns the names of such phases, in order."""
        kept = file_signature(self._study_paths.study)
        if kept is None:
            return []
        if self._study is None or kept != self._kept:
            self._study, self._kept = kept_study(self._study_paths), kept
        names = [*(phase.name for phase in self._study.phases), FINAL]
        signatures = {name: phase_signature(self._study_paths, name) for name in names}
        changed = [name for name in names if signatures[name] != self._signatures.get(name)]
        if not changed:
            return []
        self._signatures = signatures
        self._commands = kept_commands(self._study_paths)
        self._report = report_document(self._study_paths)
        for name in changed:
            self._read(name, self._report["final"])
        self._phases = {name: self._phases[name] for name in names if name in self._phases}
        self._index()
        return [name for name in changed if name in self._phases]

    def _read(self, name: str, final: Mapping[str, Any] | None) -> None:
        self._phases.pop(name, None)
        phase = phase_trace(self._study_paths, name, final)
        if phase is not None:
            self._phases[name] = phase

    def _index(self) -> None:
        """Which trials ask for a run, and which of them is the first."""
        self._users = {}
        for phase in self._phases.values():
            for trial_id, trial in phase.trials.items():
                for key in dict.fromkeys(_keys(trial)):
                    self._users.setdefault(key, []).append((phase.name, trial_id))
        self._first = {key: users[0][1] for key, users in self._users.items()}

    def _phase_records(self, phase: PhaseTrace, known: Known) -> Iterator[Record]:
        yield phase_record(phase, undecided=self.resting)
        for trial in phase.trials:
            yield from self._trial_records(phase, trial, known)

    def _trial_records(self, phase: PhaseTrace, trial_id: str, known: Known) -> list[Record]:
        trial = phase.trials[trial_id]
        own = {key: self._first[key] == trial_id for key in _keys(trial)}
        if trial_id not in known and not self._has_begun(trial, own):
            return []
        trace = TrialTrace(
            study=self._study_paths.root.name,
            trial=trial,
            verdict=phase.verdict(trial),
            is_winner=phase.is_winner(trial),
            is_active=self._is_active(own),
            is_first=own,
            chains=self._chains(trial),
            commits=self._commands.commits,
        )
        return list(trial_records(trace, self._traces))

    def _has_begun(self, trial: Mapping[str, Any], own: Mapping[str, bool]) -> bool:
        """Whether a run of its own started, or all of them have their end already."""
        if any(is_first for key, is_first in own.items() if key in self._live.started):
            return True
        return all(self._traces.has_end(replicate["runs"]) for replicate in trial["replicates"])

    def _is_active(self, own: Mapping[str, bool]) -> bool:
        """Whether the driver that works now began with it."""
        return self.resting is Status.RUNNING and any(key in self._live.active for key in own)

    def _chains(self, trial: Mapping[str, Any]) -> list[Chain]:
        return [self._traces.chain(replicate["runs"]) for replicate in trial["replicates"]]

    def _study_record(self, study: Study) -> Record:
        report, commands = self._report, self._commands
        winner = report["final_recommendation"]
        status = self._study_status(report)
        spans = commands.spans
        return Record(
            id=STUDY,
            parent=None,
            kind="study",
            name=study.name,
            status=status,
            started=min((start for start, _ in spans), default=None),
            ended=max((e for _, e in spans), default=None) if status != Status.RUNNING else None,
            tags={
                **_asked(study),
                "git_commit": commands.last_commit,
                "winner": "" if winner is None else str(winner["trial"] or ""),
                "complete": "true" if report["is_complete"] else "false",
                "note": masked(_note(study, report["phases"])),
            },
            metrics={
                **_scores(winner),
                "spent_time_min": spent_minutes(study.name, self._all_chains()),
                "wall_time_min": commands.wall_minutes,
            },
            artifacts=self._artifacts(),
            model=self._study_paths.model if self._has_model(report) else None,
            workload=study.workload if self._has_model(report) else None,
        )

    def _study_status(self, report: Mapping[str, Any]) -> Status:
        if self.resting is Status.RUNNING:
            return Status.RUNNING
        if any(phase.is_failed for phase in self._phases.values()):
            return Status.FAILED
        return Status.FINISHED if report["is_complete"] else self.resting

    def _has_model(self, report: Mapping[str, Any]) -> bool:
        final = report["final"]
        return final is not None and final["state"] == "done" and self._study_paths.model.is_dir()

    def _artifacts(self) -> dict[str, Any]:
        paths = self._study_paths
        found = (paths.report, paths.analysis, paths.page, paths.page.with_suffix(".md"))
        return {path.name: path for path in found if path.is_file()}

    def _all_chains(self) -> Iterator[Chain]:
        for phase in self._phases.values():
            for trial in phase.trials.values():
                yield from self._chains(trial)


def _keys(trial: Mapping[str, Any]) -> Iterable[str]:
    return (run["key"] for replicate in trial["replicates"] for run in replicate["runs"])


def _asked(study: Study) -> dict[str, str]:
    objective = study.objective
    return {
        "objective": f"{objective.mode} {objective.metric} on {objective.on}",
        "constraints": "; ".join(study.constraints),
        "workload": study.workload,
        "seed": str(study.seed),
    }


def _note(study: Study, decisions: Sequence[Mapping[str, Any]]) -> str:
    """What the study is about, and each decision in words, a paragraph each."""
    decided = [f"{d['phase']}: {' '.join(decision_sentences(d))}" for d in decisions]
    return "\n\n".join(text for text in (study.description, *decided) if text)


def _scores(winner: Mapping[str, Any] | None) -> dict[str, float]:
    """The winner's means in validation, and what it scored on the test data."""
    if winner is None:
        return {}
    tested = {name: float(value) for name, value in (winner["test"] or {}).items()}
    validated = means(winner["validation"] or {})
    return {**validated, **{f"test_{name}": value for name, value in tested.items()}}


def _superseded(record: str, told: Remembered) -> Record:
    """A record of what is in no plan any more."""
    ended = Status.KILLED if told.status is Status.RUNNING else told.status
    tags = {"superseded": "true"}
    if told.kind == "trial":
        tags["winner"] = "false"
    return Record(
        id=record, parent=told.parent, kind=told.kind, name=told.name, status=ended, tags=tags
    )
