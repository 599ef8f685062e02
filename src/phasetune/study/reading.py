"""YAML read strictly, as YAML 1.2: what a person wrote twice, or not quite, is an error.

`1e-3` is a number; duplicate keys, aliases, merge keys, tags and several documents are refused,
with their line. Each value's line is kept, so that later checks can name it.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from phasetune.errors import StudyError
from phasetune.study.wording import first_of, one_line, shown, shown_key

LARGEST_BYTES = 300_000
MOST_EVENTS = 25_000  # each value and each end of a list or mapping; a second of reading
DEEPEST = 20
LARGEST_BITS = 1024  # of a whole number: the range of a float

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = (f"{_TAG}str", f"{_TAG}timestamp")
_SCALAR_TAGS = tuple(f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float"))


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a file says, as plain values, and where each value stands (`file:line`)."""

    content: dict[str, Any]
    places: Mapping[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str | None:
        """Where the value at a path stands, or the nearest one around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None


def read_yaml(path: Path) -> Document:
    """Read a file with one mapping.

    Raises:
        StudyError: every problem that reading shows, each with its line.
    """
    text = _read_text(path)
    reader = _Reader(source=one_line(path.name))
    content = reader.read(text)
    if not reader.problems and not isinstance(content, dict):
        reader.problems.append(
            f"{reader.source}: must be a mapping of settings, but is {shown(content)}"
        )
    if reader.problems:
        raise StudyError(first_of(reader.problems))
    return Document(content=content, places=reader.places)


def read_value(text: str, *, source: str) -> Any:
    """Read one value as a study file would, such as `0.5` or `[1, 2]`.

    Raises:
        StudyError: the text is not YAML.
    """
    reader = _Reader(source=source)
    value = reader.read(text)
    if reader.problems:
        raise StudyError(first_of(reader.problems))
    return value


def _read_text(path: Path) -> str:
    name = one_line(str(path))
    try:
        content = _read_bytes(path, name)
        return content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise StudyError(f"there is no study file {name}") from error
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{name}: must be UTF-8 text, but byte {error.start} is not; save it as UTF-8"
        ) from error
    except OSError as error:
        raise StudyError(f"{name}: can't be read: {error.strerror}") from error


def _read_bytes(path: Path, name: str) -> bytes:
    """Never more than what is allowed, whatever the system says of its size."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for its writer
        raise StudyError(f"{name}: must be a regular file, not a pipe or a device")
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise StudyError(f"{name}: a study file must be at most {LARGEST_BYTES} bytes")
    return content


def _refusal(event: Event) -> str | None:
    """Why an event is refused by itself; an explicit tag would bypass the checks of values."""
    if isinstance(event, AliasEvent):
        return f"aliases (*{shown_key(event.anchor)}) are refused; write the value"
    if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
        return "directives (%) are refused; remove the line"
    if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
        return f"the tag {shown(event.tag)} is refused; write the plain value"
    if isinstance(event, ScalarEvent) and not _is_encodable(event.value):
        return f"the text {shown(event.value)} has half a surrogate pair; write the whole character"
    return None


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _in_words(error: MarkedYAMLError) -> str:
    """What the parser found, with the way out where its words hide it."""
    text, context = str(error.problem), error.context or ""
    if context.startswith("while "):
        text = f"{text} {context}"
    elif context:
        text = f"{context}, {text}"
    if r"'\t'" in text:
        text = f"{text}; use spaces, not tabs"
    return one_line(text)


class _Reader:
    """Turns one text into plain values, collecting problems and places."""

    def __init__(self, *, source: str) -> None:
        self.source = source
        self.problems: list[str] = []
        self.places: dict[KeyPath, str] = {}
        self._yaml = YAML(typ="safe", pure=True)

    def read(self, text: str) -> Any:
        try:
            self.problems.extend(self._shape_problems(text))
            if self.problems:
                return None
            node = self._yaml.compose(text)
            return None if node is None else self._plain(node, ())
        except MarkedYAMLError as error:
            line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
            self.problems.append(f"{self.source}{line}: not valid YAML: {_in_words(error)}")
        except (YAMLError, ValueError, OverflowError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            self.problems.append(f"{self.source}: not valid YAML: {one_line(first)}")
        return None

    def _shape_problems(self, text: str) -> Iterator[str]:
        """What is refused before anything is built from it."""
        depth = 0
        for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
            refusal = _refusal(event)
            if refusal is not None:
                yield f"{self._at(event)}: {refusal}"
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            if depth > DEEPEST:
                yield f"{self._at(event)}: nested deeper than {DEEPEST} levels"
                return
            if count > MOST_EVENTS:
                yield f"{self._at(event)}: too many values; build so large a study in Python"
                return

    def _at(self, marked: Any) -> str:
        return f"{self.source}:{marked.start_mark.line + 1}"

    def _plain(self, node: Node, path: KeyPath) -> Any:
        self.places[path] = self._at(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self._plain(item, (*path, i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in found:
                dotted = ".".join(shown_key(part) for part in (*path, key))
                self.problems.append(f"{self._at(key_node)}: {dotted} is given twice; keep one")
            found[key] = self._plain(value_node, (*path, key))
            self.places[(*path, key)] = self._at(key_node)
        return found

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode) or node.tag == f"{_TAG}merge":
            self.problems.append(
                f"{self._at(node)}: keys must be plain text; use `extends:` to merge"
            )
            return ""
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in _TEXT_TAGS:
            return str(node.value)
        if node.tag not in _SCALAR_TAGS:
            self.problems.append(f"{self._at(node)}: {shown(node.value)} must be quoted to be text")
            return None
        try:
            value = self._yaml.constructor.construct_object(node)
        except (ValueError, OverflowError):
            value = None
        is_large = isinstance(value, int) and value.bit_length() > LARGEST_BITS
        if is_large or (value is None and node.tag != f"{_TAG}null"):
            self.problems.append(
                f"{self._at(node)}: {shown(node.value)} is too long for a number; "
                "write a shorter one, or quote it to be text"
            )
        return float(value) if isinstance(value, float) else value
