"""Secrets in text that is shown or kept: masked where their place or their value gives them away.

A place is a password in a URL, what follows a name such as `api_key=`, or an `Authorization`
header. A value is that of an environment variable whose name says secret. Masking twice is masking
once, and takes time in proportion to the text.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

MASK = "***"
_SHORTEST = 8

_NAMES = (
    r"password|passwd|passphrase|secret|(?:api|access|account|private|secret)[_-]?key"
    r"|(?<=[?&])sig|(?<=[?&])x-(?:amz|goog)-(?:signature|credential)"  # of signed URLs
)
_EQUALS = r"""\\?["']?[ \t]{0,3}[:=](?![:=])[ \t]{0,3}"""
_ENDS = r"""(?![^\s,;&)\]}"'\\])"""
_NUMBER = rf"[-+]?\d{{1,9}}(?:\.\d{{0,17}})?(?:e[-+]?\d{{1,3}})?\.?{_ENDS}"  # as mask_token=3
_QUOTED = r"""\\["'][^"'\\\n]*+|"(?:[^"\\\n]|\\.)*+|'(?:[^'\\\n]|\\.)*+"""
_BARE = r"""[^\s,;&"'\\]*[^\s,;&"'\\)\]}]"""

_NAMED = re.compile(
    rf"((?:{_NAMES}){_EQUALS}|token{_EQUALS}(?!{_NUMBER}))({_QUOTED}|{_BARE})", re.IGNORECASE
)
_OPTION = re.compile(
    rf"(?<!\S)(--(?:[a-z0-9]+[_-]){{0,4}}(?:{_NAMES}|token) +)[^\s-]\S*", re.IGNORECASE
)
_IN_URL = re.compile(r"""(://[^\s/:@"'<>\\]*):[^\s/"'<>\\]+@""")
_ALONE_IN_URL = re.compile(r"""(\bhttps?://)[^\s/:@"'<>\\]+@""", re.IGNORECASE)
_HEADER = re.compile(
    r"""(authorization\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?(?:(?:bearer|basic|token)\s{1,3})?)"""
    r"""[^\s,;"'\\]+""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\bbearer\s{1,3})[a-z0-9._~+/=-]{16,}", re.IGNORECASE)

_VARIABLE = re.compile(r"TOKEN(?!IZ)|PASSWORD|PASSWD|SECRET|API_?KEY|CREDENTIAL")
# These say where a secret lies. Masking a path would hide what a message is about.
_PLACE = re.compile(r"(?:_FILE|_PATH|_DIR|_DIRECTORY|\AGOOGLE_APPLICATION_CREDENTIALS)\Z")


def masked(text: str) -> str:
    """The text with `***` where a secret stood."""
    return _masked(text, _known_secrets())


def _masked(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _IN_URL.sub(rf"\1:{MASK}@", text)
    text = _ALONE_IN_URL.sub(rf"\1{MASK}@", text)
    text = _NAMED.sub(_without_value, text)
    for pattern in (_OPTION, _HEADER, _BEARER):
        text = pattern.sub(rf"\1{MASK}", text)
    return text


def masked_content(content: Any) -> Any:
    """Plain values with the texts in them masked, and what stands under names as `password`."""
    return _masked_content(content, _known_secrets())


def _masked_content(content: Any, secrets: Sequence[str]) -> Any:
    if isinstance(content, str):
        return _masked(content, secrets)
    if isinstance(content, Mapping):
        return {
            name: MASK if _is_secret(name, value) else _masked_content(value, secrets)
            for name, value in content.items()
        }
    if isinstance(content, list):
        return [_masked_content(item, secrets) for item in content]
    return content


def masked_arguments(arguments: Iterable[str]) -> list[str]:
    """A command's arguments: `name=value` is one secret however many words the value has."""
    shown: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        option = shown[-1] if shown else ""
        if option.startswith("--") and _names_secret(option, argument):
            shown.append(MASK)
        elif equals and _names_secret(name, value):
            shown.append(f"{name}={MASK}")
        else:
            shown.append(masked(argument))
    return shown


def _without_value(found: re.Match[str]) -> str:
    value = found[2]
    opening = value[: len(value) - len(value.lstrip("\\\"'"))]
    return f"{found[1]}{opening}{MASK}"


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, Mapping | list):
        return bool(value) and _names_secret(name, "several")
    return isinstance(value, str | int | float) and _is_one_secret(name, value)


def _is_one_secret(name: str, value: str | float) -> bool:
    return value != "" and not isinstance(value, bool) and _names_secret(name, repr(value))


def _names_secret(name: str, written: str) -> bool:
    """Whether the whole value is a secret because of its name."""
    found = _NAMED.search(f"{name}={written}")
    return found is not None and found.start() < len(name) < found.end(1)


def _known_secrets() -> list[str]:
    """Values of the environment, longest first; of long ones, such as keys, each line, for lines
    get joined. Other threads may take variables away meanwhile.
    """
    values = [os.environ.get(name, "") for name in os.environ if _is_named_secret(name)]
    lines = {line.strip() for value in values for line in value.splitlines()}
    found = [line for line in lines if len(line) >= _SHORTEST and MASK not in line]
    return sorted(found, key=lambda known: (-len(known), known))


@lru_cache(maxsize=1024)
def _is_named_secret(variable: str) -> bool:
    name = variable.upper()
    return _VARIABLE.search(name) is not None and _PLACE.search(name) is None
