"""Numbers and values as the texts of training reports write them."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from phasetune.errors import PhasetuneError
from phasetune.report.numbers import number_text
from phasetune.store.masking import masked_content
from phasetune.study.wording import one_line, shown

RULE = "=" * 80
THIN_RULE = "-" * 80
_NAME_WIDTH = 30
_NONE = "not reported"


def long_number(value: float | None) -> str:
    """Six decimals, or as many digits that count; a word where there is no number."""
    return _NONE if value is None else number_text(value, decimals=6)


def short_number(value: float | None) -> str:
    """Four decimals, or as many digits that count; a word where there is no number."""
    return _NONE if value is None else number_text(value)


def plain_settings(settings: Any) -> dict[str, Any]:
    """Hyperparameters as values that JSON can hold, sorted by name, without secrets.

    Raises:
        PhasetuneError: they are no mapping.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise PhasetuneError(
            "hyperparameters must be a mapping from names to values, but is "
            f"{shown(settings)}; of an argparse.Namespace give vars(args)"
        )
    named = {str(name): _plain_value(value) for name, value in settings.items()}
    masked: dict[str, Any] = masked_content(dict(sorted(named.items())))
    return masked


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _plain_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return one_line(str(value))


def setting_lines(settings: Mapping[str, Any]) -> list[str]:
    """A line per setting."""
    return _lines({name: one_line(str(value)) for name, value in settings.items()})


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line per metric."""
    return _lines({name: long_number(metrics[name]) for name in sorted(metrics)})


def _lines(texts: Mapping[str, str]) -> list[str]:
    named = {one_line(name): text for name, text in texts.items()}
    width = max([_NAME_WIDTH, *map(len, named)])
    return [f"  {name:<{width}}: {text}" for name, text in named.items()]
