"""Which runs the studies below a results root refer to.

A study refers to the runs in the plans of its phases, in those of trials that were run alone, and
to those of its final model. Plans are written before their runs are executed, so a study that was
interrupted refers to what it has computed. What can't be read is an error, never "nothing".
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.store.documents import read_document
from phasetune.store.paths import PhasePaths, ResultsPaths, StudyPaths
from phasetune.study.reading import read_yaml
from phasetune.study.schema import FINAL


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A run that a trial of a study takes. `trunk` is the id of the trunk that it branches off,
    `trunk_step` where; `is_winning` in the chain of a phase's winner or of the final model.
    """

    study: str
    phase: str
    trial: str
    stage: str
    key: str
    seed_index: int
    fold: int | None
    trunk: str | None
    trunk_step: int | None
    is_winning: bool

    @property
    def trunk_key(self) -> str | None:
        """The key of the trunk's artifact that it branches off."""
        return None if self.trunk is None else f"{self.trunk}-{self.trunk_step:06d}"

    @property
    def label(self) -> str:
        """What people call it."""
        fold = [] if self.fold is None else [f"fold {self.fold + 1}"]
        seed = [] if self.seed_index == 0 else [f"seed {self.seed_index}"]
        return " ".join([self.stage, self.trial, *fold, *seed])


def all_references(paths: ResultsPaths, *, besides: str | None = None) -> list[Reference]:
    """What every study below a results root refers to, or every one besides a named one.

    Raises:
        StoreError: a study or a plan can't be read; the message names the file.
    """
    _refuse_lost_studies(paths)
    studies = [study for study in paths.studies() if study.root.name != besides]
    return [found for study in studies for found in study_references(study)]


def study_references(paths: StudyPaths) -> list[Reference]:
    """What a study refers to, as it was last run.

    Raises:
        StoreError: the study or a plan can't be read; the message names the file.
    """
    try:
        phases = [str(phase["name"]) for phase in read_yaml(paths.study).content["phases"]]
    except (StudyError, KeyError, TypeError) as error:
        raise StoreError(
            f"{paths.study} can't be read, so what the study refers to is not known; run the study "
            "again, or move its folder away"
        ) from error
    return phase_references(paths, phases)


def phase_references(paths: StudyPaths, phases: Iterable[str]) -> list[Reference]:
    """What these phases of a study, its trials that were run alone, and its final refer to.

    Raises:
        StoreError: a plan can't be read; the message names the file.
    """
    found = [_planned(paths, paths.phase(name)) for name in (*phases, FINAL)]
    found += [_of_plan(paths, plan, winner=None) for plan in paths.trial_plans()]
    return [reference for references in found for reference in references]


def _refuse_lost_studies(paths: ResultsPaths) -> None:
    for folder in sorted(paths.root.glob("*/phases")):
        study = StudyPaths(folder.parent)
        if folder.parent != paths.store and not study.study.exists():
            raise StoreError(
                f"{study.root} has phases but no {study.study.name}, so what it refers to is not "
                "known; run the study again, or move the folder away"
            )


def _planned(paths: StudyPaths, phase: PhasePaths) -> list[Reference]:
    if phase.root.name == FINAL:
        return [*_of_plan(paths, phase.plan, winner=FINAL), *_of_final(paths)]
    decision = read_document(phase.decision) or {}
    return _of_plan(paths, phase.plan, winner=decision.get("winner"))


def _of_final(paths: StudyPaths) -> list[Reference]:
    """The runs of the final model as it stands, which may be that of an earlier plan."""
    record = read_document(paths.final)
    with _named(paths.final):
        runs = [] if record is None else record["runs"]
        about = {"study": paths.root.name, "phase": FINAL, "trial": FINAL, "is_winning": True}
        return [_reference(run, {}, about) for run in runs]


def _of_plan(paths: StudyPaths, plan: Path, *, winner: str | None) -> list[Reference]:
    record = read_document(plan)
    with _named(plan):
        return [] if record is None else list(_of_trials(paths.root.name, record, winner))


def _of_trials(study: str, plan: Mapping[str, Any], winner: str | None) -> Iterator[Reference]:
    for trial in plan["trials"]:
        name, phase = str(trial["name"]), str(trial["phase"])
        about = {"study": study, "phase": phase, "trial": name, "is_winning": name == winner}
        for replicate in trial["replicates"]:
            yield from (_reference(run, replicate, about) for run in replicate["runs"])


def _reference(
    run: Mapping[str, Any], replicate: Mapping[str, Any], about: Mapping[str, Any]
) -> Reference:
    trunk = run.get("trunk") or {"id": None, "step": None}
    return Reference(
        stage=str(run["stage"]),
        key=str(run["key"]),
        seed_index=int(replicate.get("seed_index", 0)),
        fold=replicate.get("fold"),
        trunk=trunk["id"],
        trunk_step=trunk["step"],
        **about,
    )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is not what was written there, so what it refers to is not known; run the "
            "study again, or move its folder away"
        ) from error
