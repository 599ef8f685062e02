"""Names of trials, for people: what differs from the siblings. Never an identity."""

import re
from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Any

from phasetune.errors import PlanError
from phasetune.stage.canonical import Json, digest
from phasetune.study.parameters import Settings
from phasetune.study.schema import Phase, Point, is_safe_name
from phasetune.study.wording import shown

BASELINE_NAME = "baseline"
_LONGEST = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+|\.{2,}")


class _WholeKeys(Formatter):
    """Looks a field up as one dotted key: no attributes, no items, no calls."""

    def get_field(self, field_name: str, _args: Sequence[Any], kwargs: Any) -> tuple[Any, str]:
        return kwargs[field_name], field_name


def templated_name(template: str, settings: Settings, *, phase: str) -> str:
    """Fill a `trial_name` template.

    Raises:
        PlanError: a value does not fit its format, or the result can't be a folder's name.
    """
    try:
        name = _WholeKeys().vformat(template, (), dict(settings))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PlanError(
            f"phases.{phase}.trial_name: {shown(template)} can't be filled: {_why(error)}"
        ) from error
    if not is_safe_name(name):
        raise PlanError(
            f"phases.{phase}.trial_name: gives {shown(name)}; a name must be 1 to 100 ASCII "
            "letters, digits or . _ = + - without '..', starting with a letter or digit"
        )
    return name


def _why(error: Exception) -> str:
    """A `KeyError` says only what is not there."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def default_names(phase: str, points: Sequence[Settings], varied: Iterable[str]) -> list[str]:
    """`phase-parameter=value` for what varies; whole dotted names only where short ones clash."""
    names = list(varied)
    short = {name: name.rpartition(".")[2] for name in names}
    labels = {
        name: short[name] if list(short.values()).count(short[name]) == 1 else name
        for name in names
    }
    return [_default_name(phase, point, labels) for point in points]


def _default_name(phase: str, settings: Settings, labels: dict[str, str]) -> str:
    parts = [
        f"{label}={_value_text(settings[name])}"
        for name, label in labels.items()
        if name in settings
    ]
    text = "-".join([phase, *parts])
    name = _UNSAFE.sub("_", text)
    if name == text and len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{digest(dict(settings))[:8]}"


def _value_text(value: Json) -> str:
    if isinstance(value, list):
        return "x".join(_value_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def equal_names(names: Sequence[str]) -> list[str]:
    """The names that occur twice, in order."""
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def trial_names(phase: Phase, points: Sequence[Point], settings: Sequence[Settings]) -> list[str]:
    """The names of a phase's trials, by its template or by what varies.

    Raises:
        PlanError: a template gives no name, or two trials the same one.
    """
    if phase.trial_name is not None:
        names = [templated_name(phase.trial_name, s, phase=phase.name) for s in settings]
    else:
        names = default_names(phase.name, settings, _varied(points, settings))
    twice = equal_names(names)
    if twice:
        raise PlanError(
            f"phases.{phase.name}.trial_name: two trials are named {twice[0]!r}; "
            "name what they differ in"
        )
    return names


def _varied(points: Sequence[Point], settings: Sequence[Settings]) -> list[str]:
    """The parameters in which settings differ, as settings name them: nested ones one by one."""
    given = dict.fromkeys(name for point in points for name in point.params)
    known = dict.fromkeys(name for setting in settings for name in setting)
    named = dict.fromkeys(
        name for part in given for name in known if name == part or name.startswith(f"{part}.")
    )
    if len(points) == 1:
        return list(named)
    first = settings[0]
    return [name for name in named if any(one.get(name) != first.get(name) for one in settings)]
