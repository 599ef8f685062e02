"""Which run of a study a name means.

A person may give a trial's name; a trial and a stage, as `arch_32:pretrain`; a run as
`phasetune run` or `phasetune checkpoints` prints it; or the first digits of a run's key.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.lines import LinesReader
from phasetune.store.paths import StudyPaths
from phasetune.store.references import Reference, study_references
from phasetune.study.problems import suggestion
from phasetune.study.wording import listed, shown

_SHORTEST_KEY = 6


def named_runs(study: StudyPaths, name: str) -> tuple[Reference, ...]:
    """The runs that a name means: one, those of a trial's stage, or all of a trial's.

    Raises:
        StoreError: there is none, or the name may mean several; the message lists which.
    """
    references = study_references(study)
    trial, colon, stage = name.partition(":")
    of_trial = _of_trial(references, trial)
    if of_trial and colon:
        return _of_stage(of_trial, trial, stage)
    if of_trial:
        return of_trial
    for found in (
        [one for one in references if one.label == name],
        _of_keys(references, _printed_as(study.events, name)),
        [one for one in references if _begins(one.key, name)],
    ):
        if found:
            return _only(name, found)
    raise _unknown(study, name, references)


def _of_trial(references: Iterable[Reference], trial: str) -> tuple[Reference, ...]:
    """A trial's runs, each once, as the newest plan has them."""
    found: dict[tuple[str, int, int | None], Reference] = {}
    for one in references:
        if one.trial == trial:
            found.setdefault((one.stage, one.seed_index, one.fold), one)
    return _each_once(found.values())


def _each_once(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Runs that several replicates share are one, of no fold and seed in particular."""
    uses: dict[tuple[str, str], list[Reference]] = {}
    for one in references:
        uses.setdefault((one.stage, one.key), []).append(one)
    return tuple(
        replace(
            same[0],
            fold=same[0].fold if len({one.fold for one in same}) == 1 else None,
            seed_index=same[0].seed_index if len({one.seed_index for one in same}) == 1 else 0,
        )
        for same in uses.values()
    )


def _of_stage(of_trial: Iterable[Reference], trial: str, stage: str) -> tuple[Reference, ...]:
    found = tuple(one for one in of_trial if one.stage == stage)
    if not found:
        known = {one.stage for one in of_trial}
        raise StoreError(f"the trial {trial} has no stage {shown(stage)}{suggestion(stage, known)}")
    return found


def _of_keys(references: Iterable[Reference], keys: set[str]) -> list[Reference]:
    return [one for one in references if one.key in keys]


def _begins(key: str, name: str) -> bool:
    return len(name) >= _SHORTEST_KEY and key.startswith(name.lower())


def _printed_as(journal: Path, label: str) -> set[str]:
    """The keys of the runs that were printed with a label when they were executed."""
    entries = LinesReader(journal).new()
    return {str(entry.get("key")) for entry in entries if entry.get("label") == label}


def _only(name: str, found: Iterable[Reference]) -> tuple[Reference, ...]:
    """The one run that was found; trials that share it are one."""
    runs = _each_once(found)
    if len(runs) > 1:
        labels = listed(dict.fromkeys(one.label for one in runs))
        raise StoreError(f"{shown(name)} may be {labels}; name one of these")
    return runs


def _unknown(study: StudyPaths, name: str, references: Iterable[Reference]) -> StoreError:
    is_label = " " in name
    known = {one.label if is_label else one.trial for one in references}
    return StoreError(
        f"the study {study.root.name} has no run {shown(name)}; give a trial, TRIAL:STAGE, a run "
        "as `phasetune run` prints it, or six or more digits of its key"
        f"{suggestion(name, known)}"
    )
