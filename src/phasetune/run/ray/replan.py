"""The runs of a phase as they were planned, made again from what the study kept.

An attempt keeps no requests: what a worker executes is more than names and keys, and a pickle of it
would be one more file to trust. The kept study, its code and its data give the same plan, key by
key; where they don't, they changed, and what the attempt began is no longer what is asked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import data_state
from phasetune.plan.planner import Planner
from phasetune.plan.share import distinct_runs
from phasetune.plan.trial import Run, Trial
from phasetune.run.events import NullListener
from phasetune.run.labels import run_points
from phasetune.run.ledger import Ledger
from phasetune.run.ray.tune_state import TuneTrial
from phasetune.run.records import fitting_decision
from phasetune.run.request import RunRequest, RunState
from phasetune.run.wave import wave_requests
from phasetune.select.record import carried_settings, carries
from phasetune.select.verdict import Rule
from phasetune.store.digests import remembered_digests
from phasetune.store.documents import read_document
from phasetune.store.paths import ResultsPaths, StudyPaths, run_folder
from phasetune.study.load import LoadedStudy, load


@dataclass(frozen=True, kw_only=True)
class KeptPlan:
    """The trials of a kept plan, and the state of each of their runs in the store, by key."""

    loaded: LoadedStudy
    paths: ResultsPaths
    trials: Sequence[Trial]
    states: Mapping[str, RunState]

    @cached_property
    def folders(self) -> Mapping[str, Sequence[Run]]:
        """The runs of each job that was planned, by the name of its folder in an attempt."""
        found: dict[str, list[Run]] = {}
        for run in distinct_runs(self.trials):
            found.setdefault(run_folder(run.stage, run.family), []).append(run)
        return found

    def pending(self, folder: str) -> list[Run]:
        """The runs of a job that have no end in the store."""
        return [r for r in self.folders[folder] if self.states[r.key] is RunState.PENDING]

    def difference(self, known: Sequence[TuneTrial], attempt: Path) -> str | None:
        """What is not as planned in an attempt whose tune_trials Tune knows so; None if all is."""
        names = {trial.folder for trial in known}
        indices = sorted(trial.index for trial in known)
        if indices != list(range(len(known))) or len(names) != len(known):
            return f"of its {len(known)} trials one is missing, or there twice"
        changed = (self._changed(trial) for trial in known)
        different = next((found for found in changed if found is not None), None)
        if different is not None:
            return different
        begun = {path.name for path in attempt.iterdir()} & set(self.folders)
        lacking = sorted((self._ready_besides(names) | begun) - names)
        return f"it does not know of the trial {lacking[0]}" if lacking else None

    def requests(self, folder: str, attempt: Path) -> list[RunRequest]:
        """What a worker needs to execute the pending runs of a job in an attempt."""
        return wave_requests(
            self.loaded, self.pending(folder), self.trials, paths=self.paths, attempt=attempt
        )

    @cached_property
    def _points(self) -> Mapping[str, Mapping[str, Any]]:
        return run_points(self.trials)

    def _changed(self, trial: TuneTrial) -> str | None:
        """A job shows the point of the last run that was missing when it was handed out."""
        runs = self.folders.get(trial.folder, ())
        planned = [
            _text({"index": trial.index, "stage": run.stage, **self._points[run.key]})
            for run in runs
        ]
        if not planned:
            return f"it knows of the trial {trial.folder}"
        if _text(trial.asked) not in planned:
            return f"its trial {trial.folder} is {_text(trial.asked)} instead of {planned[-1]}"
        return None

    def _ready_besides(self, names: set[str]) -> set[str]:
        """The jobs with pending runs that need nothing from these jobs."""
        awaited = {run.key for name in names for run in self.folders[name]}
        return {
            name
            for name in self.folders
            for run in self.pending(name)
            if run.parent not in awaited
            and (run.parent is None or self.states[run.parent] is RunState.DONE)
        }


def kept_plans(paths: ResultsPaths, study: StudyPaths, phase: str) -> list[KeptPlan]:
    """The phase's plan, and those of its trials that were run alone; an attempt is of one of them.

    Raises:
        StoreError: there is none, or the study as it was kept does not give one of them any more.
        PhasetuneError: the study as it was kept can't be loaded or planned.
    """
    loaded = load(study.study)
    with remembered_digests(paths.digests, fresh=True):
        data = data_state(loaded)
    if not data.is_known:
        raise StudyError(data.problems)
    planners = [Planner(loaded, data.fingerprints, shares=shares) for shares in (True, False)]
    anew = {t.key: t for planner in planners for t in _planned(planner, study, phase)}
    ledger, found = Ledger(paths, NullListener()), []
    for plan in sorted(study.phase(phase).root.glob("plan*.json")):
        trials = _trials_of(plan, anew)
        states = ledger.states(distinct_runs(trials))
        found.append(KeptPlan(loaded=loaded, paths=paths, trials=trials, states=states))
    if not found:
        raise StoreError(f"{study.phase(phase).plan} is missing, so what was asked is not known")
    return found


def _planned(planner: Planner, study: StudyPaths, phase: str) -> Iterator[Trial]:
    """The trials of a phase, around what the phases before it decided."""
    carried = planner.base_settings()
    for index, asked in enumerate(planner.study.phases):
        plan = planner.phase(index, carried)
        if asked.name == phase:
            yield from plan.all_trials
            return
        record = fitting_decision(study.phase(asked.name), plan, Rule.of(planner.study))
        if record is not None and carries(record):
            carried = carried_settings(record)
    final = planner.final(carried)
    if final is not None and final.phase == phase:
        yield final


def _trials_of(plan: Path, anew: Mapping[str, Trial]) -> list[Trial]:
    """The trials of a kept plan as they are planned anew, with the same keys."""
    record = read_document(plan) or {}
    try:
        return [anew[str(trial["key"])] for trial in record["trials"]]
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{plan} is not what the study as it was kept gives now: its code, its data or an "
            "earlier decision changed since"
        ) from error


def _text(asked: Mapping[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True)
