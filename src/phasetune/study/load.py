"""From a YAML file or a Python function to a checked study.

`extends` merges mappings, replaces lists and merges phases by name; overrides from the command
line come last. All ways pass the same checks, and every problem is reported at once.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phasetune.errors import PhasetuneError, StudyError
from phasetune.stage.resolve import (
    ResolvedWorkload,
    forget_if_elsewhere,
    make_importable,
    resolve_callable,
    resolve_workload,
)
from phasetune.study import schema
from phasetune.study.check import workload_problems
from phasetune.study.merge import merged, overridden
from phasetune.study.parameters import Problem, kind_problems
from phasetune.study.problems import describe, validation_messages
from phasetune.study.reading import Document, KeyPath, read_yaml
from phasetune.study.schema import Study
from phasetune.study.wording import first_of, one_line, shown

DEEPEST_EXTENDS = 10
_ABOUT_THE_WORKLOAD = ("workload", "sources", "import_from")


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
    for override in overrides:
        document = overridden(document, override)
    importable = _import_folders(document.content.get("import_from"), folders)
    content = {**document.content, "import_from": importable}
    return _checked(Document(content=content, places=document.places))


def _document(source: str | Path | Study) -> tuple[Document, list[Path]]:
    """The content, and the folders beside it that are importable."""
    if isinstance(source, Study):
        return Document(content=source.model_dump(mode="json", exclude_unset=True)), []
    text = str(source)
    if ":" in text and not _is_there(Path(text)):
        return _from_function(text)
    if not text.endswith((".yaml", ".yml")):
        raise StudyError(
            f"a study must be a .yaml file or module:function, but is {shown(text)}"
            + ("" if _is_there(Path(text)) else ", and there is no such file")
        )
    return _extended(Path(text), ())


def _is_there(path: Path) -> bool:
    """Whether it is on the disk; what the system has no name for is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _from_function(path: str) -> tuple[Document, list[Path]]:
    folders_now = [str(Path.cwd())]
    make_importable(folders_now)
    forget_if_elsewhere(path.partition(":")[0], folders_now)
    function = _function(path)
    try:
        study = function()
    except ValidationError as error:
        raise StudyError(_in_words(error, path)) from error
    except PhasetuneError:
        raise
    except Exception as error:
        raise StudyError(
            f"study {path!r}: the function must return a study when called without arguments, but "
            f"raised {one_line(f'{type(error).__name__}: {error}')}"
        ) from error
    if not isinstance(study, Study):
        raise StudyError(
            f"study {path!r} must return a phasetune.Study, but returned {shown(study)}"
        )
    file = inspect.getsourcefile(function)
    folders = [] if file is None else [Path(file).resolve().parent]
    return Document(content=study.model_dump(mode="json", exclude_unset=True)), folders


def _function(path: str) -> Callable[..., Any]:
    try:
        return resolve_callable(path, what="study")
    except StudyError as error:
        raise StudyError([one_line(problem) for problem in error.problems]) from error


def _in_words(error: ValidationError, path: str) -> list[str]:
    """What a function that builds a study got wrong, as for a file."""
    model_type = getattr(schema, error.title, Study)
    return [
        f"study {path!r}: {describe(where, message, Document(content={}))}"
        for where, message in validation_messages(error, model_type)
    ]


def _extended(path: Path, chain: tuple[Path, ...]) -> tuple[Document, list[Path]]:
    """The file on top of what it extends, and the folders of all of them, its own first.

    Import folders are relative to the file that names them.
    """
    resolved = Path(os.path.realpath(path))  # `resolve` raises on links in a circle
    if resolved in chain:
        names = " -> ".join(entry.name for entry in (*chain, resolved))
        raise StudyError(f"extends: the files extend each other in a circle: {names}")
    if len(chain) >= DEEPEST_EXTENDS:
        raise StudyError(f"extends: must be at most {DEEPEST_EXTENDS} files deep, in {chain[0]}")
    document = read_yaml(path)
    if "import_from" in document.content:
        given = document.content["import_from"]
        document.content["import_from"] = _absolute(given, resolved.parent)
    base = document.content.pop("extends", None)
    if base is None:
        return document, [resolved.parent]
    if not isinstance(base, str) or "\0" in base:
        raise StudyError(describe(("extends",), f"must be a file, but is {shown(base)}", document))
    below_path = path.parent / base
    if not _is_there(below_path) or below_path.is_dir():
        missing = f"there is no study file {one_line(str(below_path))}"
        raise StudyError(describe(("extends",), missing, document))
    below, folders = _extended(below_path, (*chain, resolved))
    return merged(below, document), [resolved.parent, *folders]


def _import_folders(given: Any, beside: Sequence[Path]) -> Any:
    """Absolute folders that are importable in driver and workers, the study's own first."""
    if given is not None and not _are_folders(given):
        return given
    named = _absolute(given or [], beside[0] if beside else Path.cwd())
    return list(dict.fromkeys([*(str(folder) for folder in beside), *named]))


def _absolute(given: Any, root: Path) -> Any:
    """Folders relative to a root as absolute ones; what is no list of folders as it is."""
    return [os.path.realpath(root / entry) for entry in given] if _are_folders(given) else given


def _are_folders(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(
        isinstance(entry, str) and "\0" not in entry for entry in given
    )


def import_folders(study: Study) -> tuple[str, ...]:
    """What is put before the import path: the study's folders, then the working directory."""
    return tuple(dict.fromkeys([*study.import_from, str(Path.cwd())]))


def _checked(document: Document) -> LoadedStudy:
    problems: list[Problem] = []
    study = _schema(document.content, problems)
    problems += _folder_problems(document.content["import_from"])
    workload = _workload(document.content, problems)
    if workload is not None:
        problems = [_toward_params(problem, workload) for problem in problems]
        problems += workload_problems(workload, document.content)
    if problems or study is None or workload is None:
        raise StudyError(first_of(_sentences(problems, document)))
    return LoadedStudy(study=study, workload=workload)


def _folder_problems(folders: Any) -> Iterable[Problem]:
    """A device on the import path would be read to its end by whoever searches that path."""
    for i, folder in enumerate(folders if _are_folders(folders) else ()):
        if _is_there(Path(folder)) and not Path(folder).is_dir():
            yield ("import_from", i), f"must be a folder, but {one_line(repr(folder))} is none"


def _toward_params(problem: Problem, workload: ResolvedWorkload) -> Problem:
    """Points and grids name parameters from their stage on; the base settings lie in `params`."""
    path, message = problem
    names = [stage.name for stage in workload.stages]
    if len(path) == 1 and path[0] in names and message.startswith("is not known"):
        return path, f"is not known here; set its parameters as params.{path[0]}.NAME"
    return problem


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
    """The workload, unless what says where it lies is wrong already."""
    if any(where[0] in _ABOUT_THE_WORKLOAD for where, _ in problems if where):
        return None
    folders = dict.fromkeys([*content["import_from"], str(Path.cwd())])
    try:
        return resolve_workload(
            content["workload"], sources=content.get("sources", ()), folders=tuple(folders)
        )
    except StudyError as error:
        problems += [(("workload",), message) for message in error.problems]
        return None
