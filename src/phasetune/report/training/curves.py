"""What a training told, epoch by epoch: losses and metrics, of training and of validation.

A history's columns are told apart by their names. `train_` and `training_` lead what was measured
in training, `val_`, `valid_` and `validation_` what was measured in validation; what has neither
is neither. The loss is the quantity `loss`, or where there is none the only one that ends in
`_loss`; without a prefix it is that of training. Everything else is a metric.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from phasetune.errors import PhasetuneError
from phasetune.study.wording import shown

Role = Literal["training", "validation", "other"]
Values = tuple[float | None, ...]
"""One value per epoch; None where nothing was reported, NaN where that was reported."""

_LOSS = "loss"
_PREFIXES: Mapping[str, Role] = {
    "train_": "training",
    "training_": "training",
    "val_": "validation",
    "valid_": "validation",
    "validation_": "validation",
}


@dataclass(frozen=True, kw_only=True)
class Best:
    """The lowest finite validation loss, and the first epoch that had it."""

    epoch: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Losses and metrics by epoch; all of them as long as `epochs`, which counts from 1."""

    epochs: tuple[int, ...]
    train_losses: Values
    val_losses: Values
    train_metrics: Mapping[str, Values] = field(default_factory=dict)
    val_metrics: Mapping[str, Values] = field(default_factory=dict)
    other_metrics: Mapping[str, Values] = field(default_factory=dict)

    @property
    def total_epochs(self) -> int:
        """The last epoch that something was reported of."""
        return max(self.epochs, default=0)

    @property
    def best(self) -> Best | None:
        """By validation loss; None where none is finite."""
        pairs = zip(self.epochs, self.val_losses, strict=True)
        finite = [(v, epoch) for epoch, v in pairs if v is not None and math.isfinite(v)]
        if not finite:
            return None
        loss, epoch = min(finite)
        return Best(epoch=epoch, loss=loss)

    @property
    def has_losses(self) -> bool:
        """Whether a loss was reported that can be drawn."""
        return _is_drawable(self.train_losses, self.val_losses)

    @property
    def has_metrics(self) -> bool:
        """Whether anything else was."""
        of_roles = (self.train_metrics, self.val_metrics, self.other_metrics)
        return _is_drawable(*(values for metrics in of_roles for values in metrics.values()))


def _is_drawable(*lines: Values) -> bool:
    values = (value for line in lines for value in line)
    return any(value is not None and math.isfinite(value) for value in values)


def last_of(values: Values) -> float | None:
    """The last value that was reported."""
    return next((value for value in reversed(values) if value is not None), None)


def curves_of_lists(
    train_losses: Any,
    val_losses: Any,
    train_metrics: Any = None,
    val_metrics: Any = None,
) -> Curves:
    """Curves of what a person's own loop kept: one number per epoch, from the first on.

    Raises:
        PhasetuneError: a list is empty, holds what is no number, or is not as long as the others.
    """
    losses = checked_values(train_losses, "train_losses")
    count = len(losses)
    return Curves(
        epochs=tuple(range(1, count + 1)),
        train_losses=losses,
        val_losses=_as_long(checked_values(val_losses, "val_losses"), "val_losses", count),
        train_metrics=_checked_metrics(train_metrics, "train_metrics", count),
        val_metrics=_checked_metrics(val_metrics, "val_metrics", count),
    )


def checked_values(values: Any, name: str) -> tuple[float, ...]:
    """Numbers, one per epoch, of whatever gives them to `float`: also arrays and tensors.

    Raises:
        PhasetuneError: there are none, or one is no number.
    """
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise PhasetuneError(
            f"{name} must be a list of numbers, one per epoch, but is {shown(values)}"
        )
    found = tuple(_number(value, f"{name}[{index}]") for index, value in enumerate(values))
    if not found:
        raise PhasetuneError(f"{name} must have a number for each epoch, but is empty")
    return found


def _number(value: Any, place: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # a tensor of several is the last
        raise PhasetuneError(
            f"{place} must be a number, but is {shown(value)}; give nan where there is none"
        ) from None


def _as_long(values: tuple[float, ...], name: str, count: int) -> tuple[float, ...]:
    if len(values) != count:
        raise PhasetuneError(
            f"{name} must have as many numbers as train_losses, {count}, but has {len(values)}; "
            "give nan where there is none"
        )
    return values


def _checked_metrics(metrics: Any, name: str, count: int) -> dict[str, Values]:
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise PhasetuneError(
            f"{name} must be a mapping from names to lists of numbers, but is {shown(metrics)}"
        )
    found: dict[str, Values] = {}
    for metric, values in metrics.items():
        place = f"{name}[{shown(metric)}]"
        found[str(metric)] = _as_long(checked_values(values, place), place, count)
    return found


def curves_of_history(rows: Sequence[Mapping[str, float]]) -> Curves:
    """Curves of a run's reported rows, each with its `step`; a step is an epoch."""
    columns: dict[str, Values] = {
        name: tuple(row.get(name) for row in rows) for name in _column_names(rows)
    }
    losses = _loss_columns(columns)
    metrics: dict[Role, dict[str, Values]] = {"training": {}, "validation": {}, "other": {}}
    for name in sorted(columns.keys() - losses.values()):
        role, quantity = _role_of(name)
        metrics[role][name if quantity in metrics[role] else quantity] = columns[name]
    nothing: Values = (None,) * len(rows)
    return Curves(
        epochs=tuple(int(row["step"]) for row in rows),
        train_losses=columns.get(losses.get("training", ""), nothing),
        val_losses=columns.get(losses.get("validation", ""), nothing),
        train_metrics=metrics["training"],
        val_metrics=metrics["validation"],
        other_metrics=metrics["other"],
    )


def _column_names(rows: Iterable[Mapping[str, float]]) -> list[str]:
    return sorted({name for row in rows for name in row} - {"step"})


def _role_of(column: str) -> tuple[Role, str]:
    """What was measured, and in what."""
    for prefix, role in _PREFIXES.items():
        if column.startswith(prefix) and column != prefix:
            return role, column.removeprefix(prefix)
    return "other", column


def _loss_columns(columns: Iterable[str]) -> dict[Role, str]:
    """The column of the loss in training and in validation, where there is one."""
    loss = _loss_among(columns)
    found: dict[Role, str] = {}
    for name in columns:
        role, quantity = _role_of(name)
        if quantity == loss:
            found.setdefault(role, name)
    without_prefix = found.pop("other", None)
    if without_prefix is not None:
        found.setdefault("training", without_prefix)
    return found


def _loss_among(columns: Iterable[str]) -> str | None:
    quantities = {_role_of(column)[1] for column in columns}
    if _LOSS in quantities:
        return _LOSS
    ending = [quantity for quantity in quantities if quantity.endswith(f"_{_LOSS}")]
    return ending[0] if len(ending) == 1 else None
