"""Load a study and plan it, without running or writing anything."""

from collections.abc import Sequence
from pathlib import Path

from phasetune.errors import StudyError
from phasetune.plan.data import content_problems, data_state
from phasetune.plan.planner import Planner
from phasetune.plan.show import StudyPlan, cost_of
from phasetune.plan.survey import Winner, survey
from phasetune.plan.trial import PhasePlan, Run
from phasetune.plan.warnings import workload_warnings
from phasetune.run.machine import device_of_this_process
from phasetune.run.records import fitting_decision
from phasetune.select.record import carried_settings, carries
from phasetune.select.verdict import Rule
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.digests import remembered_digests
from phasetune.store.paths import results_at
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

    def decided(plan: PhasePlan) -> Winner | None:
        record = fitting_decision(study_paths.phase(plan.name), plan, rule)
        if record is None or not carries(record):
            return None
        return record["winner"] or "as carried", carried_settings(record)

    def is_stored(run: Run) -> bool:
        return store.intact(run.stage, run.key) is not None

    def stored_steps(stage: str, trunk: str) -> list[int]:
        return trunk_steps(store, stage, trunk)

    planner = Planner(loaded, state.fingerprints, shares=shares)
    found = survey(planner, decided=decided, is_stored=is_stored, stored_steps=stored_steps)
    device = device_of_this_process(loaded.study.resources_per_trial)
    return StudyPlan(
        study=loaded.study.name,
        survey=found,
        data=state,
        cost=cost_of(found, store),
        warnings=(
            *loaded.study.warnings,
            *workload_warnings(loaded, planner.first_settings, device=device),
        ),
    )
