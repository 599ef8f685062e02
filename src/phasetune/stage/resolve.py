"""From import paths to a workload, its stages and their functions."""

import importlib
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, cast

from pydantic import BaseModel

from phasetune.errors import StudyError
from phasetune.stage.contract import (
    LABELLED_PART,
    TEST_PART,
    Advise,
    CheckParameters,
    Stage,
    StageFunction,
)
from phasetune.stage.sources import covered_files, find_module, read_sources, top_module
from phasetune.stage.unchanged import SourcesState, sources_state


@dataclass(frozen=True, kw_only=True)
class ResolvedWorkload:
    """A workload that was found and follows the contract.

    `code` is its sources' fingerprint, `sources` the digest of each of them by name, `imports` the
    top-level packages that they import anywhere.
    """

    path: str
    stages: tuple[Stage, ...]
    data_type: type[BaseModel]
    code: str
    check: CheckParameters | None
    advise: Advise | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    imports: frozenset[str] = frozenset()

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def training_stages(self) -> tuple[Stage, ...]:
        """Every stage but those that read the test data."""
        return tuple(stage for stage in self.stages if TEST_PART not in stage.reads)

    @property
    def test_stages(self) -> tuple[Stage, ...]:
        return tuple(stage for stage in self.stages if TEST_PART in stage.reads)

    @property
    def replicated(self) -> frozenset[str]:
        """Names of the stages that read labelled data, and of all after the first of them."""
        names = [stage.name for stage in self.stages]
        readers = [i for i, stage in enumerate(self.stages) if LABELLED_PART in stage.reads]
        return frozenset(names[readers[0] :]) if readers else frozenset()


_FUNCTION = re.compile(r"[^:\s]+:[^:\s]+")
_fingerprints: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class _Remembered:
    """What was resolved last, and from what."""

    workload: ResolvedWorkload
    module: ModuleType
    sources: SourcesState

    @property
    def holds(self) -> bool:
        return sys.modules.get(self.workload.path) is self.module and self.sources.is_current


_last: dict[tuple[object, ...], _Remembered] = {}


def make_importable(folders: Sequence[str]) -> None:
    """Put folders at the front of the import path, in their order."""
    kept = [entry for entry in sys.path if entry not in folders]
    sys.path[:] = [*dict.fromkeys(folders), *kept]


def resolve_workload(
    path: str, *, sources: Iterable[str] = (), folders: Sequence[str] = ()
) -> ResolvedWorkload:
    """Import a workload and check that it follows the contract.

    A workload whose sources changed since this process imported it is imported anew: its
    fingerprint must tell what runs. One whose sources did not is known already.

    Raises:
        StudyError: it is not there, can't be imported, or breaks the contract.
    """
    make_importable(folders)
    request = ((path, *sources), tuple(folders), tuple(sys.path))
    known = _last.get(request)
    if known is None or not known.holds:
        _last.clear()  # another one may put modules of the same names in their place
        known = _resolved(request[0], folders)
        if known.sources.is_settled:
            _last[request] = known
    return known.workload


def _resolved(named: Sequence[str], folders: Sequence[str]) -> _Remembered:
    importlib.invalidate_caches()
    path = named[0]
    tops = {top_module(name) for name in covered_files(named, folders)}
    if _any_from_elsewhere({path, *tops}, folders):
        _forget(tops)
    functions = [m for m in _function_modules(_import(path)) if find_module(m, folders)]
    files = covered_files((*named, *functions), folders)
    state = sources_state(files.values(), import_path=sys.path)
    read = read_sources(files)
    if _fingerprints.get(path, read.code) != read.code:
        _forget({top_module(name) for name in files})
    module = _import(path)
    _fingerprints[path] = read.code
    problems = [*_contract_problems(path, module), *_lost_functions(path, module, folders)]
    if problems:
        raise StudyError(problems)
    workload = ResolvedWorkload(
        path=path,
        stages=tuple(module.STAGES),
        data_type=module.Data,
        code=read.code,
        sources=read.digests,
        imports=read.imports,
        check=cast(CheckParameters | None, getattr(module, "check", None)),
        advise=cast(Advise | None, getattr(module, "advise", None)),
    )
    return _Remembered(workload=workload, module=module, sources=state)


def forget_if_elsewhere(module: str, folders: Sequence[str]) -> None:
    """Drop a module of this name that was imported from other folders than it would be now."""
    if _any_from_elsewhere([module], folders):
        _forget([module.partition(".")[0]])


def resolve_function(path: str) -> StageFunction:
    """The function behind `module:function`.

    Raises:
        StudyError: there is no such module or function.
    """
    return cast(StageFunction, resolve_callable(path, what="stage function"))


def resolve_callable(path: str, *, what: str) -> Callable[..., Any]:
    """Whatever callable `module:name` names.

    Raises:
        StudyError: the text is not of that form, or nothing callable is there.
    """
    module_path, colon, name = path.partition(":")
    if not colon or not module_path or not name:
        raise StudyError(f"{what} must be of the form module:function, but is {path!r}")
    found = getattr(_import(module_path), name, None)
    if not callable(found):
        raise StudyError(f"{what} {path!r}: the module has no function {name!r}")
    return cast(Callable[..., Any], found)


def _import(path: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and (path == error.name or path.startswith(error.name + ".")):
            raise StudyError(f"there is no module {path!r}") from error
        raise StudyError(f"module {path!r} needs {error.name!r}, which is not installed") from error
    except (Exception, SystemExit) as error:
        raise StudyError(
            f"module {path!r} can't be imported: {type(error).__name__}: {error}"
        ) from error


def _function_modules(workload: ModuleType) -> Iterable[str]:
    """The modules that the stages' functions are in: their import paths alone lead there."""
    stages = getattr(workload, "STAGES", None)
    for stage in stages if isinstance(stages, tuple | list) else ():
        module = str(getattr(stage, "function", "")).partition(":")[0]
        if all(part.isidentifier() for part in module.split(".")):
            yield module


def _lost_functions(path: str, workload: ModuleType, folders: Sequence[str]) -> Iterable[str]:
    for module in dict.fromkeys(_function_modules(workload)):
        if find_module(module, folders) is None:
            yield f"workload {path!r}: there is no module {module!r} for its stages' functions"


def _any_from_elsewhere(modules: Iterable[str], folders: Sequence[str]) -> bool:
    """Whether this process imported one of the modules, or a package around it, from elsewhere."""
    return any(
        _is_from_elsewhere(name, folders)
        for name in dict.fromkeys(around for module in modules for around in _with_parents(module))
    )


def _with_parents(module: str) -> Iterable[str]:
    parts = module.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _is_from_elsewhere(name: str, folders: Sequence[str]) -> bool:
    if name not in sys.modules:
        return False
    found = find_module(name, folders)
    origin = None if found is None or found.source is None else str(found.source)
    return getattr(sys.modules[name], "__file__", None) != origin


def _forget(packages: Iterable[str]) -> None:
    """Drop what was imported of these packages; installed ones do not change under a process."""
    _last.clear()
    forgotten = {name for name in packages if name != "phasetune" and not _is_installed(name)}
    for name in [name for name in sys.modules if name.partition(".")[0] in forgotten]:
        del sys.modules[name]


def _is_installed(package: str) -> bool:
    file = getattr(sys.modules.get(package), "__file__", None)
    homes = [sysconfig.get_path(home) for home in ("stdlib", "purelib", "platlib")]
    return file is not None and any(Path(file).is_relative_to(home) for home in homes)


def _contract_problems(path: str, module: ModuleType) -> Iterable[str]:
    stages = getattr(module, "STAGES", None)
    if not isinstance(stages, tuple | list) or not stages:
        yield f"workload {path!r} must have STAGES, a tuple of phasetune.Stage, but has {stages!r}"
        return
    yield from _stage_problems(path, stages)
    data_type = getattr(module, "Data", None)
    if not (isinstance(data_type, type) and issubclass(data_type, BaseModel)):
        yield f"workload {path!r} must have Data, a pydantic BaseModel, but has {data_type!r}"
    elif not callable(getattr(data_type, "fingerprint", None)):
        yield f"workload {path!r}: Data must have a method fingerprint(part) -> str"


def _stage_problems(path: str, stages: Sequence[object]) -> Iterable[str]:
    names: list[str] = []
    for position, stage in enumerate(stages):
        if not isinstance(stage, Stage):
            yield f"workload {path!r}: STAGES[{position}] must be a Stage, but is {stage!r}"
            continue
        if stage.name in names:
            yield f"workload {path!r}: two stages are named {stage.name!r}"
        names.append(stage.name)
        for problem in _field_problems(stage):
            yield f"workload {path!r}: {problem}"
    well_formed = [stage for stage in stages if isinstance(stage, Stage)]
    yield from _export_problems(path, well_formed)
    yield from _order_problems(path, well_formed)


def _field_problems(stage: Stage) -> Iterable[str]:
    name, function, reads = stage.name, stage.function, stage.reads
    if not (isinstance(name, str) and name.isidentifier()):
        yield f"stage name {name!r} must be an identifier"
    if not (isinstance(stage.params, type) and issubclass(stage.params, BaseModel)):
        yield f"stage {name!r} needs a pydantic BaseModel as params"
    if not (isinstance(function, str) and _FUNCTION.fullmatch(function)):
        yield f"stage {name!r}: function must be of the form 'module:function', but is {function!r}"
    for what, names in (("reads", reads), ("exports", stage.exports)):
        if not (isinstance(names, tuple | list) and all(isinstance(n, str) for n in names)):
            yield f"stage {name!r}: {what} must be a tuple of names, but is {names!r}"
        elif what == "exports" and not all(map(_is_inside, names)):
            yield f"stage {name!r}: exports must be files in the stage's folder, but are {names!r}"


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _export_problems(path: str, stages: Sequence[Stage]) -> Iterable[str]:
    """All of a trial's exports lie in one folder."""
    lists = [s.exports for s in stages if isinstance(s.exports, tuple | list)]
    names = [name for names in lists for name in names]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"workload {path!r}: two stages export {name!r}; names must differ"


def _order_problems(path: str, stages: Sequence[Stage]) -> Iterable[str]:
    reads_test = [not isinstance(s.reads, str) and TEST_PART in (s.reads or ()) for s in stages]
    if sorted(reads_test) != reads_test:
        yield f"workload {path!r}: stages that read {TEST_PART!r} must be the last ones"
    if stages and all(reads_test):
        yield f"workload {path!r}: at least one stage must not read {TEST_PART!r}"
