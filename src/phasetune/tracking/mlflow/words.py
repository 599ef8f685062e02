"""What MLflow takes: names, values and lengths within its limits, the same each time.

A name with other characters keeps a digest, so that two never become one. A text that is too long
is cut, and goes whole into an artifact.
"""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_PARAM = 6000
LONGEST_TAG = 8000
_LONGEST_NAME = 250
_ODD = re.compile(r"[^/\w.\- :]")
_DIGEST = 10
WHOLE_TEXTS = "phasetune/whole_texts.json"
"""The artifact with the texts that were cut."""


def mlflow_name(name: str) -> str:
    """A name that MLflow takes for a parameter, tag or metric; most are taken as they are."""
    known = _ODD.sub("_", _text(name))
    if posixpath.normpath(known) != known or known.startswith(("..", "/")) or known == ".":
        known = "_".join(part for part in re.split(r"[/.]+", known) if part)
    if known == name != "" and len(name) <= _LONGEST_NAME:
        return name
    return f"{known[: _LONGEST_NAME - _DIGEST - 1]}-{_digest(name)}"


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts by name, as MLflow takes them; `whole` are those that it would not take whole."""

    short: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)


def mlflow_texts(texts: Mapping[str, str], *, longest: int) -> Texts:
    """Texts by MLflow's names, cut to so many characters."""
    named = {mlflow_name(name): _text(text) for name, text in texts.items()}
    return Texts(
        short={name: _cut(text, longest) for name, text in named.items()},
        whole={name: text for name, text in named.items() if len(text) > longest},
    )


def _text(text: str) -> str:
    """What databases can hold: no half characters, no zero bytes."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = f" ... ({len(text)} characters, digest {_digest(text)}; whole in {WHOLE_TEXTS})"
    return text[: longest - len(end)] + end


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:_DIGEST]
