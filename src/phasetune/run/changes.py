"""What is different from when a study was last kept, in sentences.

A study is kept as resolved, and beside it what it was planned with: a digest of each source file
of its workload, a fingerprint of each part of its data, and the environment class of the machine.
`plan` and `run` compare these with what is there now. What changed has other keys anyway, or is of
another environment class, so nothing depends on these sentences: they tell a person why.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.plan.data import DataState
from phasetune.run.machine import device_of_this_process, resolved_precision
from phasetune.stage.canonical import digest
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import make_folder, write_bytes
from phasetune.store.masking import masked_content
from phasetune.store.paths import StudyPaths
from phasetune.store.provenance import environment_class
from phasetune.study.dump import study_yaml
from phasetune.study.load import LoadedStudy
from phasetune.study.reading import read_yaml
from phasetune.study.schema import DECISION_FIELDS, RUN_FIELDS, Study

_SINCE = "changed since the last run"
_MOST_NAMES = 12
_OF_DEVICE = ("device", "precision")
_USED = "is used as it is and marked, --strict-environment runs it again"


@dataclass(frozen=True, kw_only=True)
class StudyInputs:
    """What a study is planned with besides its fields.

    `sources` are digests of the workload's source files by name, `data` those of fingerprints by
    part, empty where a part can't be read. The environment names no device where that is the
    affair of a cluster.
    """

    sources: Mapping[str, str]
    data: Mapping[str, str]
    environment: Mapping[str, Any]


def study_inputs(loaded: LoadedStudy, data: DataState, *, is_joined: bool = False) -> StudyInputs:
    """What a study is planned with now, on this machine.

    Where its runs go to a cluster that is joined, this machine's device is not theirs.
    """
    environment = study_environment(loaded.study)
    return StudyInputs(
        sources=dict(loaded.workload.sources),
        data={part: digest(found) for part, found in data.fingerprints.items()}
        if data.is_known
        else {},
        environment={
            name: value
            for name, value in environment.items()
            if not (is_joined and name in _OF_DEVICE)
        },
    )


def study_environment(study: Study, *, uses_gpu: bool = True) -> dict[str, Any]:
    """The environment class of a study's runs in this process."""
    device = device_of_this_process(study.resources_per_trial, uses_gpu=uses_gpu)
    precision = resolved_precision(study.numerics.precision, device)
    return environment_class(device=device, precision=precision, threads=study.numerics.threads)


def keep_study(study: Study, paths: StudyPaths, inputs: StudyInputs) -> None:
    """Keep a study as resolved, and what it is planned with; what can't be read stays beside it.

    Raises:
        StoreError: it can't be written.
    """
    make_folder(paths.root)
    if _kept_inputs(paths) is None:
        _copy_aside(paths.inputs)
    write_document(paths.inputs, asdict(inputs))
    if _is_kept(study, paths):
        return
    if _kept_fields(paths) is None:
        _copy_aside(paths.study)
    write_bytes(paths.study, _bytes(study, paths))


def changes(
    study: Study, paths: StudyPaths, inputs: StudyInputs, *, is_strict: bool = False
) -> list[str]:
    """Changes of what is computed, decided or computed with, one sentence each; none where no study
    is kept. `is_strict` where other environment classes are computed again.
    """
    if not paths.study.exists():
        return []
    if _is_kept(study, paths):
        return _input_changes(inputs, paths, (), is_strict)
    kept = _kept_fields(paths)
    fields = {} if kept is None else _changed_fields(kept, study)
    told = _field_sentences(fields) if kept is not None else [_unknown(paths.study, "parameters")]
    return [*told, *_input_changes(inputs, paths, fields, is_strict)]


def outdated_decisions(
    paths: StudyPaths, phases: Sequence[str], *, standing: Collection[str]
) -> list[str]:
    """Which decisions are made again, one sentence each: from the first that doesn't stand on."""
    first = next((i for i, name in enumerate(phases) if name not in standing), len(phases))
    outdated = [name for name in phases[first:] if paths.phase(name).decision.exists()]
    if phases[first:][:1] != outdated[:1]:
        return []
    return [f"the decision of phase {name} is made again; the old one is kept" for name in outdated]


def _is_kept(study: Study, paths: StudyPaths) -> bool:
    """Whether this very text is there: then nothing has to be read, which takes its time."""
    try:
        return paths.study.read_bytes() == _bytes(study, paths)
    except OSError:
        return False


def _bytes(study: Study, paths: StudyPaths) -> bytes:
    """The study as a file; folders may have names that are no UTF-8."""
    return study_yaml(study, beside=paths.beside).encode(errors="backslashreplace")


def _kept_fields(paths: StudyPaths) -> dict[str, Any] | None:
    """The kept study's leaves by name; None where it can't be read."""
    try:
        return _leaves(read_yaml(paths.study).content)
    except StudyError:
        return None


def _unknown(path: Path, what: str) -> str:
    return (
        f"{path} is missing or torn, so changes of {what} since the last run are not known; "
        "a run writes it anew and keeps a torn one beside it"
    )


def _changed_fields(before: Mapping[str, Any], study: Study) -> dict[str, tuple[Any, Any]]:
    """What a field was and is, by name, of those that change keys or decisions."""
    now = _leaves(study.model_dump(mode="json", exclude_unset=True))
    known = RUN_FIELDS | DECISION_FIELDS
    names = [name for name in {**before, **now} if name.partition(".")[0] in known]
    return {
        name: (before.get(name, "unset"), now.get(name, "unset"))
        for name in names
        if before.get(name) != now.get(name)
    }


def _field_sentences(fields: Mapping[str, tuple[Any, Any]]) -> list[str]:
    shown = [(name, *_without_secrets(name, *pair)) for name, pair in fields.items()]
    sentences = [f"{_SINCE}: {name}: {before} -> {now}" for name, before, now in shown]
    more = len(sentences) - _MOST_NAMES
    return sentences[:_MOST_NAMES] + ([f"and {more} more changes"] if more > 0 else [])


def _without_secrets(name: str, *values: Any) -> list[Any]:
    return [masked_content({name: value})[name] for value in values]


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = [(str(i), item) for i, item in enumerate(value)]
    else:
        return {path: value}
    below = (_leaves(item, f"{path}.{key}" if path else str(key)) for key, item in items)
    return {name: leaf for leaves in below for name, leaf in leaves.items()}


def _kept_inputs(paths: StudyPaths) -> StudyInputs | None:
    try:
        content = read_document(paths.inputs) or {}
    except StoreError:
        return None
    parts: dict[str, Any] = {name: content.get(name) for name in StudyInputs.__annotations__}
    is_whole = all(isinstance(part, dict) for part in parts.values())
    return StudyInputs(**parts) if is_whole else None


def _input_changes(
    now: StudyInputs, paths: StudyPaths, fields: Collection[str], is_strict: bool
) -> list[str]:
    before = _kept_inputs(paths)
    if before is None:
        return [_unknown(paths.inputs, "code, data and libraries")]
    code = _named_changes("code", before.sources, now.sources)
    data = _named_changes("data", before.data, now.data) if now.data and before.data else []
    return [*code, *data, *_environment_change(before, now, fields, is_strict)]


def _named_changes(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Such as `code: fit.py changed, new.py came, old.py went`, in one sentence."""
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if not names:
        return []
    told = [f"{name} {_became(name, before, now)}" for name in names[:_MOST_NAMES]]
    more = len(names) - _MOST_NAMES
    return [f"{_SINCE}: {what}: {', '.join(told)}" + (f", and {more} more" if more > 0 else "")]


def _became(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name not in before:
        return "came"
    return "changed" if name in now else "went"


def _environment_change(
    before: StudyInputs, now: StudyInputs, fields: Collection[str], is_strict: bool
) -> list[str]:
    """What the study's own `numerics` say is a change of the study: its keys have it."""
    was, now_is = _leaves(before.environment), _leaves(now.environment)
    unknown = {name for name in _OF_DEVICE if name not in was or name not in now_is}
    told = [
        f"{name.removeprefix('libraries.')} {was.get(name, 'none')} -> {now_is.get(name, 'none')}"
        for name in {**was, **now_is}
        if name not in unknown
        and was.get(name) != now_is.get(name)
        and f"numerics.{name}" not in fields
    ]
    if not told:
        return []
    becomes = "is run again" if is_strict else _USED
    another = "what was computed before is of another environment class; it"
    return [f"{_SINCE}: {', '.join(told)}: {another} {becomes}"]


def _copy_aside(path: Path) -> None:
    """Keep a file that is about to be replaced under a name that says its content."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"{path} can't be read: {error.strerror or error}; move it away and run again"
        ) from error
    name = f"{path.stem}-unreadable-{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
    write_bytes(path.with_name(name), content)
