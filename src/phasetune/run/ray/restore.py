"""A restored Tuner on an interrupted attempt, for those who know Tune.

`Tuner.restore` does not fail closed, and what it reads is pickled. So an attempt is looked at
before Tune touches it: who can write it, whether Tune's state is whole, whether its tune_trials are
those of the plan, whether the checkpoints that it would go on from are as they were sealed. Then
the restored Tuner works on a copy of what verified, in the folder of a new attempt, as every
execution of a wave does: should Tune lose its way in there, the interrupted attempt is what it was.
In the copy those runs are to go on, and no others, that have no end in the store.
"""

import json
import shutil
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.run.checkpoints import newest_checkpoint
from phasetune.run.events import NullListener
from phasetune.run.ray.replan import KeptPlan, kept_plans
from phasetune.run.ray.terminal import Terminal
from phasetune.run.ray.tune_state import (
    TUNER,
    TuneState,
    is_of_tune,
    read_tune_state,
    write_tune_state,
)
from phasetune.run.request import RunRequest
from phasetune.store.driver_lock import driving
from phasetune.store.durable import replacing
from phasetune.store.lock import in_use
from phasetune.store.paths import SEAL, PhasePaths, ResultsPaths, StudyPaths
from phasetune.store.trust import refuse_untrusted


@dataclass(frozen=True, kw_only=True)
class OpenAttempt:
    """An attempt that passed every check, with the plan that it is of.

    `unfinished` are the folders of those tune_trials of which a run has no end in the store.
    """

    folder: Path
    state: TuneState
    plan: KeptPlan
    unfinished: tuple[str, ...]


def restored_tuner(
    results: Path, phase: str, *, study: str | None = None, attempt: int | None = None
) -> Any:
    """The `ray.tune.Tuner` that goes on with a phase's newest unfinished attempt, or another.

    Raises:
        StoreError: there is no such attempt, or a check failed; the message says which.
        PhasetuneError: the study as it was kept can't be loaded or planned.
    """
    paths = ResultsPaths(results)
    if paths.uri is not None:
        raise StoreError(
            f"a Tuner can't be restored from {paths.uri}: who can write there is not known from "
            "here, and restoring runs what lies there; `phasetune run` goes on without it"
        )
    study_paths = _study_of(paths, phase, study)
    with driving(paths, study_paths.root.name) as lock:
        lock.hold()
        found = open_attempt(paths, study_paths, phase, attempt=attempt)
        copy = study_paths.phase(phase).new_attempt()
        with replacing(copy) as draft:
            _copy_verified(found, draft)
    return _restored(found, copy)


def open_attempt(
    paths: ResultsPaths, study: StudyPaths, phase: str, *, attempt: int | None
) -> OpenAttempt:
    """The newest attempt of a phase that passes every check and has unfinished runs.

    One that fails a check is not passed over: whether it is finished is not known.

    Raises:
        StoreError, PhasetuneError: as for `restored_tuner`.
    """
    with _way_out():
        refuse_untrusted(study.study, root=paths.root)
        refuse_untrusted(study.phase(phase).root, root=paths.root)
        plans = kept_plans(paths, study, phase)
        for folder in _attempts(study.phase(phase), attempt):
            found = _checked(folder, plans)
            if found.unfinished:
                return found
        raise StoreError(
            f"{study.phase(phase).attempts} has no attempt through Ray that is not finished, so "
            "there is nothing to restore"
        )


@contextmanager
def _way_out() -> Iterator[None]:
    """Whatever speaks against restoring, there is another way."""
    try:
        yield
    except StoreError as error:
        way_out = "`phasetune run` goes on by a new Tuner, which needs none of Tune's state"
        raise StoreError([*error.problems[:-1], f"{error.problems[-1]}; {way_out}"]) from error


def _study_of(paths: ResultsPaths, phase: str, study: str | None) -> StudyPaths:
    found = [
        one
        for one in paths.studies()
        if study in (None, one.root.name) and one.phase(phase).attempts.is_dir()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.root.name for one in found)
        raise StoreError(f"{paths.root}: {phase!r} is a phase of {names}; name one as study=...")
    of = "" if study is None else f" of the study {study!r}"
    raise StoreError(f"{paths.root}: the phase {phase!r}{of} has no attempt; run the study first")


def _attempts(phase: PhasePaths, attempt: int | None) -> list[Path]:
    """Those to look at, newest first."""
    if attempt is None:
        numbered = [path for path in phase.attempts.iterdir() if path.name.isdecimal()]
        newest_first = sorted(numbered, key=lambda path: int(path.name), reverse=True)
        return [path for path in newest_first if is_of_tune(path)]
    folder = phase.attempts / f"{attempt:04d}"
    if not folder.is_dir():
        raise StoreError(f"there is no attempt {folder}")
    return [folder]


def _checked(folder: Path, plans: Sequence[KeptPlan]) -> OpenAttempt:
    state = read_tune_state(folder)
    differences = [plan.difference(state.trials, folder) for plan in plans]
    if None not in differences:
        raise StoreError(f"{state.path} is not of the phase's plan: {differences[0]}")
    plan = plans[differences.index(None)]
    unfinished = [trial for trial in state.trials if plan.pending(trial.folder)]
    for trial in unfinished:
        ids = {known for run in plan.folders[trial.folder] for known in (run.key, run.family)}
        for name in trial.checkpoints:
            _refuse_damaged(folder / trial.folder / name, ids)
    names = tuple(trial.folder for trial in unfinished)
    return OpenAttempt(folder=folder, state=state, plan=plan, unfinished=names)


def _refuse_damaged(checkpoint: Path, ids: Collection[str]) -> None:
    """A checkpoint that Tune would go on from is there, of this run or its trunk, and whole."""
    try:
        seal = json.loads((checkpoint / SEAL).read_bytes())
        key, environment = seal["key"], seal["environment"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"the checkpoint {checkpoint}, which Tune knows of, has no seal that can be read"
        ) from error
    verified, _ = newest_checkpoint([checkpoint], key=key, environment=environment)
    if verified is None or key not in ids:
        raise StoreError(f"the checkpoint {checkpoint}, which Tune knows of, is damaged")


def _copy_verified(found: OpenAttempt, draft: Path) -> None:
    """Copy what was looked at; old requests to stop, tracebacks and other states stay behind."""
    from ray.tune.search.basic_variant import BasicVariantGenerator

    draft.mkdir(mode=0o700)
    shutil.copy2(found.folder / TUNER, draft / TUNER)
    write_tune_state(found.state, draft, unfinished=found.unfinished)
    # one that has nothing more to generate: without it Tune adds a trial with an empty config
    BasicVariantGenerator().save_to_dir(str(draft), found.state.session)
    for trial in found.state.trials:
        kept = trial.checkpoints if trial.folder in found.unfinished else ()
        _copy_trial(found.folder / trial.folder, draft / trial.folder, checkpoints=kept)


def _copy_trial(folder: Path, copy: Path, *, checkpoints: Collection[str]) -> None:
    def others(_: str, names: list[str]) -> list[str]:
        return [n for n in names if n.startswith("checkpoint_") and n not in checkpoints]

    if folder.is_dir():
        shutil.copytree(folder, copy, ignore=others)


def _restored(found: OpenAttempt, copy: Path) -> Any:
    from ray import tune

    from phasetune.run.ray.trainable import execute_in_worker

    limit = found.plan.loaded.study.max_failures
    ordered = sorted(found.state.trials, key=lambda trial: trial.index)
    jobs = [found.plan.requests(trial.folder, copy) for trial in ordered]
    trainable = tune.with_parameters(execute_in_worker, jobs=jobs, max_failures=limit)
    tuner = tune.Tuner.restore(str(copy), trainable)
    _replace_callback(tuner, jobs, found)
    return _locked(tuner, found.plan.paths, found.plan.loaded.study.name)


def _replace_callback(tuner: Any, jobs: Sequence[Sequence[RunRequest]], found: OpenAttempt) -> None:
    """The pickled one left its jobs and its driver behind, and Tune takes no other one."""
    from phasetune.run.ray.callback import WaveCallback

    study = found.plan.loaded.study
    own = WaveCallback(
        jobs,
        NullListener(),
        Terminal(found.plan.paths.study(study.name).log),
        max_failures=study.max_failures,
    )
    config = tuner._local_tuner.get_run_config()
    config.callbacks = [own if isinstance(one, WaveCallback) else one for one in config.callbacks]


def _locked(tuner: Any, paths: ResultsPaths, study: str) -> Any:
    """The Tuner; until it has executed everything nobody deletes below the root, and while it does
    nobody else drives the study.
    """
    root, fit = in_use(paths), tuner.fit
    root.hold()
    weakref.finalize(tuner, root.__exit__)

    def fit_alone() -> Any:
        with driving(paths, study) as lock:
            lock.hold()
            try:
                return fit()
            finally:
                root.__exit__()

    tuner.fit = fit_alone
    return tuner
