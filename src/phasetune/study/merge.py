"""How one study changes another: `extends` in a file, `key.path=value` on the command line."""

from collections.abc import Mapping
from typing import Any

from phasetune.errors import StudyError
from phasetune.study.problems import suggestion
from phasetune.study.reading import Document, KeyPath, read_value

ONE_KEY_BELOW = ("grid", "baseline", "expect")
_ALTERNATIVES = {"grid": "points", "points": "grid"}


def merged(base: Document, change: Document) -> Document:
    """Mappings merge, lists replace, phases merge by name."""
    places: dict[KeyPath, str] = {}
    content = _merge_mapping((), base.content, change.content)
    for path in _paths(content, ()):
        place = _place(path, base.content, change) or _place(path, base.content, base)
        if place is not None:
            places[path] = place
    return Document(content=content, places=places)


def _merge_mapping(
    path: KeyPath, base: Mapping[str, Any], change: Mapping[str, Any]
) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        if path[:1] == ("phases",) and key in _ALTERNATIVES:
            result.pop(_ALTERNATIVES[key], None)
        result[key] = _merge((*path, key), result.get(key), value)
    return result


def _merge(path: KeyPath, base: Any, change: Any) -> Any:
    if isinstance(base, dict) and isinstance(change, dict):
        return _merge_mapping(path, base, change)
    if path == ("phases",) and _are_named(base) and _are_named(change):
        return _merge_phases(base, change)
    return change


def _are_named(phases: Any) -> bool:
    return isinstance(phases, list) and all(isinstance(p, dict) and "name" in p for p in phases)


def _merge_phases(base: list[Any], change: list[Any]) -> list[Any]:
    changes = {phase["name"]: phase for phase in change}
    kept = [
        _merge_mapping(("phases", i), phase, changes.pop(phase["name"], {}))
        for i, phase in enumerate(base)
    ]
    return kept + list(changes.values())


def _paths(value: Any, path: KeyPath) -> list[KeyPath]:
    below: list[KeyPath] = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            below += _paths(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            below += _paths(item, (*path, i))
    return below


def _place(path: KeyPath, base: Mapping[str, Any], document: Document) -> str | None:
    """Where a merged path stands in one of the two documents; phases are found by name."""
    if path[:1] != ("phases",) or len(path) < 2 or not isinstance(path[1], int):
        return document.places.get(path)
    phases = document.content.get("phases")
    if not _are_named(phases) or not _are_named(base.get("phases")):
        return document.places.get(path)
    base_names = [phase["name"] for phase in base["phases"]]
    own_names = [phase["name"] for phase in phases or ()]
    added = [name for name in own_names if name not in base_names]
    names = [*base_names, *added]
    name = names[path[1]] if path[1] < len(names) else None
    if name not in own_names:
        return None
    return document.places.get(("phases", own_names.index(name), *path[2:]))


def apply_override(content: dict[str, Any], override: str) -> None:
    """Change content by one `key.path=value`; the value is read as YAML.

    Below `grid`, `baseline` and `points.N` the rest of the path is one key. Phases are named by
    their name or their number from 0.

    Raises:
        StudyError: it has no `=`, names a phase or position that is not there, or its value is
            no YAML.
    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise StudyError(f"override {override!r} must be of the form key.path=value")
    value = read_value(text, source=f"override {override!r}")
    _set(content, path.strip().split("."), value, override)


def _set(content: Any, parts: list[str], value: Any, override: str) -> None:
    parent, current = "", content
    while len(parts) > 1 and parent not in ONE_KEY_BELOW:
        if isinstance(current, list):
            is_point = parent == "points"
            current = current[_position(current, parts[0], override)]
            parent, parts = ("baseline" if is_point else parent), parts[1:]
            continue
        parent, parts = parts[0], parts[1:]
        current = _child(current, parent, override)
    _assign(current, ".".join(parts), value, override)


def _child(current: dict[str, Any], key: str, override: str) -> Any:
    child = current.get(key)
    if child is None:
        child = {}
        current.pop(_ALTERNATIVES.get(key, ""), None)
    elif not isinstance(child, dict | list):
        raise StudyError(f"override {override!r}: {key!r} is {child!r}, which has nothing below it")
    copied = dict(child) if isinstance(child, dict) else [*child]
    current[key] = copied
    return copied


def _position(items: list[Any], part: str, override: str) -> int:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    if part in names:
        index = names.index(part)
    elif part.isdigit() and int(part) < len(items):
        index = int(part)
    else:
        known = [str(name) for name in names if name] or [f"0 to {len(items) - 1}"]
        raise StudyError(f"override {override!r}: there is no {part!r}{suggestion(part, known)}")
    if isinstance(items[index], dict):
        items[index] = dict(items[index])
    return index


def _assign(current: Any, key: str, value: Any, override: str) -> None:
    if isinstance(current, list):
        current[_position(current, key, override)] = value
        return
    current.pop(_ALTERNATIVES.get(key, ""), None)
    current[key] = value
