"""What was found of one part of the machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was found of one part; a problem keeps studies from running, a warning does not."""

    facts: Any
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def together(parts: Iterable[tuple[str, Part]]) -> Part:
    """Several parts as one: the facts of each by its name, the sentences of all."""
    named = dict(parts)
    return Part(
        facts={name: part.facts for name, part in named.items()},
        problems=tuple(sentence for part in named.values() for sentence in part.problems),
        warnings=tuple(sentence for part in named.values() for sentence in part.warnings),
    )
