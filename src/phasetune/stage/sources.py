"""The sources that a workload's results depend on, found by path and not by import.

Covered are the package that a workload lives in (or its one file), what the study's `sources`
names, and phasetune's own `train` where one of these imports it.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
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


def code_fingerprint(workload: str, sources: Iterable[str], folders: Sequence[str]) -> str:
    """Digest of the sources' names and contents.

    Raises:
        StudyError: a module named by the study has no source file.
    """
    files = _all_files([workload, *sources], folders)
    if any(_imports_engine(path) for path in files.values()):
        files |= _module_files(ENGINE, folders)
    hashed = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes()
        hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()[:DIGEST_LENGTH]


def _all_files(modules: Sequence[str], folders: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for module in modules:
        files |= _module_files(_package_of(module, folders), folders)
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
    if found.source is None or found.source.suffix != ".py":
        raise StudyError(
            f"module {found.name!r} has no Python source ({found.source}), so changes of it could "
            "not be noticed; use a module that has one"
        )
    return found.source


def _imports_engine(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return any(_names_engine(node) for node in ast.walk(tree))


def _names_engine(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(_is_engine(alias.name) for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return any(_is_engine(f"{node.module}.{alias.name}") for alias in node.names)
    return False


def _is_engine(name: str) -> bool:
    return name == ENGINE or name.startswith(ENGINE + ".")
