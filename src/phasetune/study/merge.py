"""How one study changes another: `extends` in a file, `key.path=value` on the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from phasetune.errors import StudyError
from phasetune.study.problems import suggestion
from phasetune.study.reading import DEEPEST, Document, KeyPath, read_value
from phasetune.study.wording import shown

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
    """Whether phases can be told apart by their names; else they replace as any list does."""
    if not isinstance(phases, list) or not all(isinstance(phase, dict) for phase in phases):
        return False
    names = [phase.get("name") for phase in phases]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


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


def overridden(document: Document, override: str) -> Document:
    """The document changed by one `key.path=value`; the value is read as YAML.

    Below `grid`, `baseline` and `points.N` the rest of the path is one key. Phases are named by
    their name or their number from 0.

    Raises:
        StudyError: it has no `=`, names a phase or position that is not there, or its value is
            no YAML.
    """
    written, equals, text = override.partition("=")
    if not equals or not written:
        raise StudyError(f"override {shown(override)} must be of the form key.path=value")
    name = f"override {shown(override)}"
    value = read_value(text, source=name)
    keys = _keys(written.strip().split("."))
    if "" in keys or len(keys) > DEEPEST:
        raise StudyError(
            f"{name}: the key before '=' must be 1 to {DEEPEST} names with dots between them, as "
            "in seed=3 or params.STAGE.NAME=3"
        )
    path = _resolved(document.content, keys, name)
    content = _replaced(document.content, path, value)
    if path[0] == "phases" and len(path) > 2:
        content["phases"][path[1]].pop(_ALTERNATIVES.get(str(path[2])), None)
    places = {at: place for at, place in document.places.items() if at[: len(path)] != path}
    return Document(content=content, places={**places, path: name})


def _keys(parts: list[str]) -> list[str]:
    """The path with the names of parameters, which have dots themselves, as one key."""
    head = len(parts)
    if parts[0] == "baseline":
        head = 1
    elif parts[0] == "phases" and parts[2:3] == ["grid"]:
        head = 3
    elif parts[0] == "phases" and parts[2:3] == ["points"]:
        head = 4
    below = [".".join(parts[head:])] if parts[head:] else []
    return [*parts[:head], *below]


def _resolved(content: Mapping[str, Any], keys: Sequence[str], name: str) -> KeyPath:
    """The keys with positions in lists as numbers."""
    current: Any = content
    path: list[str | int] = []
    for key in keys:
        if isinstance(current, list):
            position = _position(current, key, name)
            path.append(position)
            current = current[position]
            continue
        if not isinstance(current, dict) and (current is not None or key.isdecimal()):
            raise StudyError(f"{name}: there is no {shown(key)} below {shown(current)}")
        path.append(key)
        current = None if current is None else current.get(key)
    return tuple(path)


def _position(items: list[Any], part: str, name: str) -> int:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if part in names:
        return names.index(part)
    if part.isdecimal() and len(part) < 10 and int(part) < len(items):
        return int(part)
    known = [str(name) for name in names if name] or [str(i) for i in range(len(items))]
    raise StudyError(f"{name}: there is no {shown(part)}{suggestion(part, known)}")


def _replaced(current: Any, path: KeyPath, value: Any) -> Any:
    """A copy in which the value stands at the path."""
    if not path:
        return value
    key, below = path[0], path[1:]
    if isinstance(current, list):
        return [
            _replaced(item, below, value) if i == key else item for i, item in enumerate(current)
        ]
    known = current or {}
    return {**known, key: _replaced(known.get(key), below, value)}
