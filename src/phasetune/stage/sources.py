"""The sources that a workload's results depend on, found by path and not by import.

Covered are the package that a workload lives in (or its one file), what the study's `sources`
names, what these import from the study's own folders, and phasetune's own `train` where one of
them imports it.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from phasetune.errors import StudyError
from phasetune.stage.canonical import DIGEST_LENGTH

ENGINE = "phasetune.train"


@dataclass(frozen=True, kw_only=True)
class FoundModule:
    """Where a module lies: its source (None for a namespace) and, for packages, its folders."""

    name: str
    source: Path | None
    folders: tuple[Path, ...] | None

    @property
    def is_namespace(self) -> bool:
        return self.source is None and self.folders is not None


def find_module(name: str, folders: Sequence[str]) -> FoundModule | None:
    """Find a module below `folders` or the import path without importing it or its parents."""
    top, *rest = name.split(".")
    paths = [Path(entry or ".") for entry in (*folders, *sys.path)]
    found = _found_at(top, top, paths) or _installed(top)
    for part in rest:
        if found is None or found.folders is None:
            return None
        found = _found_at(f"{found.name}.{part}", part, found.folders)
    return found


def _found_at(name: str, part: str, paths: Sequence[Path]) -> FoundModule | None:
    spec = PathFinder.find_spec(name, [str(path) for path in paths])
    if spec is None:
        return None
    if spec.origin is None:
        parts = tuple(path / part for path in paths if (path / part).is_dir())
        return FoundModule(name=name, source=None, folders=parts)
    return _from_spec(spec)


def _installed(top: str) -> FoundModule | None:
    """A module behind an import hook of its own, as some editable installs use."""
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:
        return None
    return None if spec is None else _from_spec(spec)


def _from_spec(spec: ModuleSpec) -> FoundModule:
    locations = spec.submodule_search_locations
    return FoundModule(
        name=spec.name,
        source=None if spec.origin is None else Path(spec.origin),
        folders=None if locations is None else tuple(Path(entry) for entry in locations),
    )


@dataclass(frozen=True, kw_only=True)
class ReadSources:
    """What source files say: a digest of them all, one of each by name, and what they import."""

    code: str
    digests: Mapping[str, str]
    imports: frozenset[str]


def read_sources(files: Mapping[str, Path]) -> ReadSources:
    """All that is to be known of source files, by their names as `covered_files` gives them."""
    return ReadSources(
        code=files_digest(files),
        digests={name: files_digest({name: path}) for name, path in files.items()},
        imports=imported_packages(files.values()),
    )


def top_module(file: str) -> str:
    """The top-level module of a covered file, `package/part.py` or `package.module.py`."""
    return file.partition("/")[0].removesuffix(".py").partition(".")[0]


def code_fingerprint(workload: str, sources: Iterable[str], folders: Sequence[str]) -> str:
    """Digest of the sources' names and contents.

    Raises:
        StudyError: a module named by the study has no source file.
    """
    return files_digest(covered_files((workload, *sources), folders))


def files_digest(files: Mapping[str, Path]) -> str:
    """Digest of files' names and contents, whatever their order."""
    hashed = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()[:DIGEST_LENGTH]


def covered_files(modules: Iterable[str], folders: Sequence[str]) -> dict[str, Path]:
    """The source files that count for these modules, by names that say nothing of their place.

    Raises:
        StudyError: a module named by the study has no source file.
    """
    files: dict[str, Path] = {}
    pending, seen = list(modules), set[str]()
    while pending:
        package = _package_of(pending.pop(), folders)
        if package not in seen:
            seen.add(package)
            found = _module_files(package, folders)
            files |= found
            pending += [name for path in found.values() for name in _imported(path, folders)]
    return files


def _package_of(module: str, folders: Sequence[str]) -> str:
    """The module itself where it is a package or stands alone, else the package around it."""
    parent = module.rpartition(".")[0]
    if _found(module, folders).folders is not None or not parent:
        return module
    return module if _found(parent, folders).is_namespace else parent


def _found(module: str, folders: Sequence[str]) -> FoundModule:
    found = find_module(module, folders)
    if found is None:
        looked = ", ".join(folders) or "the import path"
        raise StudyError(
            f"there is no module {module!r}; looked in {looked} and among the installed packages; "
            "name it in `workload:` or `sources:` as you would import it"
        )
    return found


def _module_files(module: str, folders: Sequence[str]) -> dict[str, Path]:
    found = _found(module, folders)
    if found.folders is None:
        return {f"{module}.py": _source_of(found)}
    return {
        f"{module}/{path.relative_to(root).as_posix()}": path
        for root in found.folders
        for path in root.rglob("*.py")
        if path.is_file()
    }


def _source_of(found: FoundModule) -> Path:
    if found.source is None or not _has_source(found):
        raise StudyError(
            f"module {found.name!r} has no Python source ({found.source}), so changes of it could "
            "not be noticed; use a module that has one"
        )
    return found.source


def _imported(path: Path, folders: Sequence[str]) -> Iterable[str]:
    """The modules that a file imports from the study's folders, and the engine if it does."""
    for module, name in _import_pairs_of(path):
        whole = f"{module}.{name}" if name else module
        if whole == ENGINE or whole.startswith(ENGINE + "."):
            yield ENGINE
        elif module.partition(".")[0] != "phasetune" and _is_beside(module, folders):
            yield whole if name and _is_beside(whole, folders) else module


def imported_packages(files: Iterable[Path]) -> frozenset[str]:
    """The top-level packages that source files import, at their top or inside functions."""
    return frozenset(
        module.partition(".")[0] for path in files for module, _ in _import_pairs_of(path)
    )


def _import_pairs_of(path: Path) -> list[tuple[str, str]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    return [pair for node in ast.walk(tree) for pair in _import_pairs(node)]


def _import_pairs(node: ast.AST) -> Iterable[tuple[str, str]]:
    """(module, name) of each absolute import; relative ones stay in their package."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from ((node.module, alias.name) for alias in node.names)


def _is_beside(module: str, folders: Sequence[str]) -> bool:
    """Whether a module with a source lies in the study's own folders, not among the installed."""
    top = find_module(module.partition(".")[0], folders)
    if top is None:
        return False
    roots = (top.folders or ()) if top.source is None or top.folders else (top.source,)
    if not any(str(root.parent) in folders for root in roots):
        return False
    found = find_module(module, folders)
    return found is not None and _has_source(found)


def _has_source(found: FoundModule) -> bool:
    return found.source is not None and found.source.suffix == ".py"
