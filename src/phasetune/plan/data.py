"""The fingerprints of the data parts that a study reads."""

from dataclasses import dataclass

from phasetune.plan.planner import HOLD_OUT_OF
from phasetune.study.load import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class DataState:
    """A fingerprint per part; for missing parts a stand-in, and a sentence in `problems`.

    With problems the plan's counts still hold, but its keys are not those of any artifact.
    """

    fingerprints: dict[str, str]
    problems: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether every part is there, and keys are those of artifacts."""
        return not self.problems


def data_state(loaded: LoadedStudy) -> DataState:
    """Fingerprint each part that any stage reads."""
    data = loaded.data
    fingerprints: dict[str, str] = {}
    problems: list[str] = []
    for part in dict.fromkeys(part for stage in loaded.workload.stages for part in stage.reads):
        try:
            fingerprints[part] = str(data.fingerprint(part))
        except OSError as error:
            fingerprints[part] = f"unknown:{part}"
            problems.append(f"data: the part {part!r} can't be read: {error}")
    return DataState(fingerprints=fingerprints, problems=tuple(problems))


def content_problems(loaded: LoadedStudy) -> list[str]:
    """What the workload says of the data's content; loads it, where the workload has a check."""
    check = getattr(loaded.data, "check", None)
    if check is None:
        return []
    return [f"data: {problem}" for problem in check(folds=_folds(loaded))]


def _folds(loaded: LoadedStudy) -> int:
    """In how many parts labelled data is cut: a hold-out is one of five, 1 is no cut at all."""
    study = loaded.study
    uncut = not loaded.workload.replicated or study.objective.on == "test"
    return study.replicates.folds or (1 if uncut else HOLD_OUT_OF)
