"""The trackers that a study may name, and the ways to name them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from phasetune.study.problems import suggestion
from phasetune.study.wording import shown

TrackerName = Literal["mlflow", "jsonl", "tensorboard", "wandb"]
_TRACKERS: tuple[str, ...] = get_args(TrackerName)


def named_trackers(given: Any) -> Any:
    """Trackers with where each one writes, from `none`, a name, a list of names, or names with
    places; None for a tracker's usual place.

    Raises:
        ValueError: one of them is no tracker.
    """
    if given in ("none", ["none"]):
        return {}
    if isinstance(given, str):
        given = [given]
    if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        given = dict.fromkeys(given)
    if not isinstance(given, Mapping):
        raise ValueError(f"must be none, a tracker or a list of trackers, but is {shown(given)}")
    for name in given:
        if name not in _TRACKERS:
            near = "" if name == "none" else suggestion(str(name), _TRACKERS)
            raise ValueError(f"must be none or name trackers, but names {shown(name)}{near}")
    return given


Tracking = Annotated[
    dict[TrackerName, Annotated[str, Field(min_length=1, max_length=2000)] | None],
    BeforeValidator(named_trackers),
]
"""Whom to tell, and where each one writes; None for its usual place."""
