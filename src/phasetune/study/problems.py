"""Problems in words: a dotted path, where it stands, what is wrong, and the way out."""

import difflib
import re
import typing
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from phasetune.study.reading import Document, KeyPath
from phasetune.study.wording import listed, one_line, shown, shown_key

_THEIR_REASONS = re.compile(
    r" or instance of \w+|, unable to parse string as an? \w+|^string | after validation, not \d+"
)
_OUR_WORDS = {
    "list": "tuple",
    "mapping": "dictionary",
    "List": "Tuple",
    "Mapping": "Dictionary",
}


def dotted(path: KeyPath) -> str:
    """The path as an override on the command line would write it."""
    return ".".join(shown_key(part) for part in path)


def describe(path: KeyPath, message: str, document: Document) -> str:
    """One sentence, led by the path and, where known, file and line."""
    place = document.place(path)
    where = f" ({place})" if place else ""
    return f"{one_line(dotted(path)) or 'study'}{where}: {one_line(message)}"


def suggestion(unknown: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or what is known where nothing is near."""
    names = sorted(known)
    near = _nearest(unknown, tuple(names))
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; known: {listed(names)}" if names else ""


@lru_cache(maxsize=256)  # a name that is wrong in one point is wrong in thousands
def _nearest(unknown: str, names: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(unknown, names, n=1)), None)


def validation_messages(
    error: ValidationError, model_type: type[BaseModel]
) -> list[tuple[KeyPath, str]]:
    """Pydantic's findings as (path, message), in our words.

    Pydantic counts only valid items, so a collection is not short where an item of it is wrong.
    """
    details = error.errors(include_url=False)
    wrong_inside = {detail["loc"][:length] for detail in details for length in _around(detail)}
    return [
        (tuple(detail["loc"]), _message(detail, model_type))
        for detail in details
        if not (detail["type"] == "too_short" and detail["loc"] in wrong_inside)
    ]


def _around(detail: ErrorDetails) -> range:
    return range(len(detail["loc"]))


def _message(detail: ErrorDetails, model_type: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        *around, unknown = detail["loc"]
        return f"is not known{suggestion(str(unknown), _fields_at(model_type, around))}"
    if detail["type"] == "missing":
        return "is missing"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    for ours, theirs in _OUR_WORDS.items():
        text = text.replace(theirs, ours)
    text = _THEIR_REASONS.sub("", text[0].lower() + text[1:])
    if ", but is " in text or detail["type"] == "value_error":
        return text
    text = text.replace("should ", "must ", 1)
    return f"{text}, but is {shown(detail['input'])}"


def _fields_at(model_type: type[BaseModel], path: Sequence[str | int]) -> Iterable[str]:
    current: type[BaseModel] | None = model_type
    for part in path:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = None if field is None else model_in(field.annotation)
    return () if current is None else current.model_fields


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model inside an annotation such as `tuple[Phase, ...]` or `A | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = model_in(argument)
        if found is not None:
            return found
    return None
