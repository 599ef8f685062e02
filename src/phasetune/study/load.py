"""From a YAML file or a Python function to a checked study.

`extends` merges mappings, replaces lists and merges phases by name; overrides from the command
line come last. All ways pass the same checks, and every problem is reported at once.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phasetune.errors import StudyError
from phasetune.stage.resolve import (
    ResolvedWorkload,
    make_importable,
    resolve_callable,
    resolve_workload,
)
from phasetune.study.check import workload_problems
from phasetune.study.merge import apply_override, merged
from phasetune.study.parameters import Problem, kind_problems
from phasetune.study.problems import describe, validation_messages
from phasetune.study.reading import Document, KeyPath, read_yaml
from phasetune.study.schema import Study

DEEPEST_EXTENDS = 10


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A checked study and the workload that it was checked against."""

    study: Study
    workload: ResolvedWorkload

    @property
    def data(self) -> Any:
        """The `data:` block as the workload's type."""
        return self.workload.data_type.model_validate(self.study.data)


def load(source: "str | Path | Study | LoadedStudy", overrides: Sequence[str] = ()) -> LoadedStudy:
    """Load and check a study: a YAML path, `module:function`, or a Study.

    Raises:
        StudyError: every problem found, one sentence each.
    """
    if isinstance(source, LoadedStudy):
        if not overrides:
            return source
        source = source.study
    document, folders = _document(source)
    content = dict(document.content)
    for override in overrides:
        apply_override(content, override)
    content["import_from"] = _import_folders(content.get("import_from"), folders)
    return _checked(Document(content=content, places=document.places))


def _document(source: str | Path | Study) -> tuple[Document, list[Path]]:
    """The content, and the folders beside it that are importable."""
    if isinstance(source, Study):
        return Document(content=source.model_dump(mode="json", exclude_unset=True)), []
    text = str(source)
    if ":" in text and not Path(text).exists():
        return _from_function(text)
    if not text.endswith((".yaml", ".yml")):
        raise StudyError(
            f"a study must be a .yaml file or module:function, but is {text!r}"
            + ("" if Path(text).exists() else ", and there is no such file")
        )
    path = Path(text)
    return _extended(path, ()), [path.resolve().parent]


def _from_function(path: str) -> tuple[Document, list[Path]]:
    make_importable([str(Path.cwd())])
    function = resolve_callable(path, what="study")
    study = function()
    if not isinstance(study, Study):
        raise StudyError(f"study {path!r} must return a phasetune.Study, but returned {study!r}")
    file = inspect.getsourcefile(function)
    folders = [] if file is None else [Path(file).resolve().parent]
    return Document(content=study.model_dump(mode="json", exclude_unset=True)), folders


def _extended(path: Path, chain: tuple[Path, ...]) -> Document:
    resolved = path.resolve()
    if resolved in chain or len(chain) >= DEEPEST_EXTENDS:
        names = " -> ".join(entry.name for entry in (*chain, resolved))
        raise StudyError(f"extends: the files extend each other in a circle: {names}")
    document = read_yaml(path)
    base = document.content.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise StudyError(describe(("extends",), f"must be a file, but is {base!r}", document))
    below = _extended(path.parent / base, (*chain, resolved))
    return merged(below, document)


def _import_folders(given: Any, beside: Sequence[Path]) -> Any:
    """Absolute folders that are importable in driver and workers, the study's own first."""
    if given is not None and not (
        isinstance(given, list | tuple) and all(isinstance(entry, str) for entry in given)
    ):
        return given
    root = beside[0] if beside else Path.cwd()
    named = [str((root / entry).resolve()) for entry in given or ()]
    return list(dict.fromkeys([*(str(folder) for folder in beside), *named]))


def import_folders(study: Study) -> tuple[str, ...]:
    """What is put before the import path: the study's folders, then the working directory."""
    return tuple(dict.fromkeys([*study.import_from, str(Path.cwd())]))


def _checked(document: Document) -> LoadedStudy:
    problems: list[Problem] = []
    study = _schema(document.content, problems)
    workload = _workload(document.content, problems)
    if workload is not None:
        problems += workload_problems(workload, document.content)
    if problems or study is None or workload is None:
        raise StudyError(_sentences(problems, document))
    return LoadedStudy(study=study, workload=workload)


def _sentences(problems: Sequence[Problem], document: Document) -> list[str]:
    sentences: dict[KeyPath | str, str] = {}
    for path, message in problems:
        sentence = describe(path, message, document)
        sentences.setdefault(sentence, sentence)
    return list(sentences.values())


def _schema(content: Mapping[str, Any], problems: list[Problem]) -> Study | None:
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        problems += validation_messages(error, Study)
        return None
    problems += kind_problems((), content, study.model_dump(mode="python"))
    return study


def _workload(content: Mapping[str, Any], problems: list[Problem]) -> ResolvedWorkload | None:
    path, sources = content.get("workload"), content.get("sources", ())
    folders = content.get("import_from", ())
    if not isinstance(path, str) or not path:
        return None
    try:
        return resolve_workload(
            path, sources=sources, folders=tuple(dict.fromkeys([*folders, str(Path.cwd())]))
        )
    except (StudyError, TypeError) as error:
        found = error.problems if isinstance(error, StudyError) else (str(error),)
        problems += [(("workload",), message) for message in found]
        return None
