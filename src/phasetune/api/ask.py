"""Load a study and plan it, without running or writing anything."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from phasetune.api.following import trackers_of
from phasetune.api.tracked_by import tracked_by
from phasetune.errors import StudyError
from phasetune.plan.data import content_problems, data_state
from phasetune.plan.planner import Planner
from phasetune.plan.show import Disk, StudyPlan, cost_of, disk_of
from phasetune.plan.survey import StudySurvey, Winner, survey
from phasetune.plan.takes import takes
from phasetune.plan.trial import PhasePlan, Run
from phasetune.plan.warnings import workload_warnings
from phasetune.run.changes import changes, outdated_decisions, study_inputs
from phasetune.run.machine import device_asked_for
from phasetune.run.records import fitting_decision
from phasetune.select.record import carried_settings, carries
from phasetune.select.verdict import Rule
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.digests import remembered_digests
from phasetune.store.paths import ResultsPaths, StudyPaths, results_at
from phasetune.store.resume import resume_checkpoints
from phasetune.store.space import GIB, disk_free
from phasetune.store.trunks import trunk_steps
from phasetune.study.load import LoadedStudy, load
from phasetune.study.schema import Study

Source = str | Path | Study | LoadedStudy


def load_study(source: Source, overrides: Sequence[str] = ()) -> Study:
    """Load and check a study: a YAML path, `"module:function"`, or a Study.

    Raises:
        StudyError: every problem found, one sentence each.
    """
    return load(source, overrides).study


def plan_study(
    source: Source,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    check_data: bool = False,
    shares: bool = True,
) -> StudyPlan:
    """What a study will run, without running or writing anything.

    With `check_data` the data is hashed anew and its content checked, which loads it. Without
    `shares` each trial has runs of its own.

    Raises:
        PhasetuneError: the study or, with `check_data`, its data is not what it must be.
    """
    loaded = load(source, overrides)
    paths = results_at(results)
    with remembered_digests(paths.digests, fresh=check_data):
        state = data_state(loaded)
    if check_data:
        problems = state.problems or content_problems(loaded)
        if problems:
            raise StudyError(problems)
    store, rule = ArtifactStore(paths.store), Rule.of(loaded.study)
    study_paths = paths.study(loaded.study.name)
    trackers_of(tracked_by(loaded.study), paths, study_paths)  # refuses what can't be one
    decisions = _Decisions(study_paths, rule)

    def is_stored(run: Run) -> bool:
        return store.intact(run.stage, run.key) is not None

    def stored_steps(stage: str, trunk: str) -> list[int]:
        return trunk_steps(store, stage, trunk)

    planner = Planner(loaded, state.fingerprints, shares=shares)
    found = survey(
        planner, decided=decisions.winner, is_stored=is_stored, stored_steps=stored_steps
    )
    phases = [phase.name for phase in loaded.study.phases] if state.is_known else []
    device = device_asked_for(loaded.study.resources_per_trial)
    return StudyPlan(
        study=loaded.study.name,
        survey=found,
        data=state,
        cost=cost_of(found, store),
        disk=_disk(loaded.study, found, paths),
        takes=takes(loaded.study, loaded.workload.stages),
        changes=(
            *changes(loaded.study, study_paths, study_inputs(loaded, state)),
            *outdated_decisions(study_paths, phases, standing=decisions.standing),
        ),
        warnings=(
            *loaded.study.warnings,
            *workload_warnings(loaded, planner.first_settings, device=device),
        ),
    )


class _Decisions:
    """Decisions as a survey asks for them; `standing` names the phases of those that fit."""

    def __init__(self, paths: StudyPaths, rule: Rule) -> None:
        self._paths = paths
        self._rule = rule
        self.standing: set[str] = set()

    def winner(self, plan: PhasePlan) -> Winner | None:
        record = fitting_decision(self._paths.phase(plan.name), plan, self._rule)
        if record is None:
            return None
        self.standing.add(plan.name)
        if not carries(record):
            return None
        return record["winner"] or "as carried", carried_settings(record)


def _disk(study: Study, found: StudySurvey, paths: ResultsPaths) -> Disk:
    held = [checkpoint.size_bytes for checkpoint in resume_checkpoints(paths.study(study.name))]
    missing = sum(stage.missing.high for stage in found.stages)
    in_flight = min(missing, study.max_concurrent_trials or os.cpu_count() or 1)
    allowed = study.max_checkpoint_gib
    return disk_of(
        found,
        ArtifactStore(paths.store),
        free_bytes=disk_free(paths.root).free,
        resume_bytes=max(held, default=0) * in_flight,
        most_checkpoint_bytes=math.inf if allowed is None else allowed * GIB,
    )
